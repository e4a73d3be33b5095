// Several machines: the study that this run shares with other WebUIs or GPUs. Folded away, empty for a run of its own.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  optim.sharedStudy = (plan) => {
    const value = () => (plan.form.shared ||= { url: '', name: '' });
    const input = (id, key, placeholder) => {
      const node = el('input', {
        id, type: 'text', class: 'optim-input', placeholder, spellcheck: 'false', autocomplete: 'off', maxlength: 300,
        on: {
          input: () => {
            value()[key] = node.value;
            plan.changed('shared');
          },
        },
      });
      return node;
    };
    const url = input('optim_shared_url', 'url', 'postgresql://user:$PASSWORD@host/optim');
    const name = input('optim_shared_name', 'name', 'the same for all');
    const summary = el('summary', { class: 'optim-note', text: 'Several machines' });
    const node = el('details', { id: 'optim_shared' }, summary,
      el('div', { class: 'optim-stack' },
        el('div', { class: 'optim-grid2' }, optim.field('Shared study (URL)', url), optim.field('Name of the study', name)),
        el('div', { class: 'optim-help', text: 'WebUIs and GPUs with the same plan and the same checkpoints make the trials of one study together. $NAME stands for a variable of the environment. Empty: this run is alone.' })));
    return {
      node,
      draw: () => {
        optim.assign(url, value().url);
        optim.assign(name, value().name);
        optim.setText(summary, value().url ? `Several machines: study ${value().name || 'without a name'}` : 'Several machines');
      },
    };
  };
})();
