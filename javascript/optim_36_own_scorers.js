// The user's own scorer files below the judges: where they go, what they gave, and why one cannot be used.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  optim.ownScorers = (plan) => {
    const title = el('span', { text: 'Your own judges' });
    const hint = el('span', { class: 'optim-summary' });
    const body = el('div', { class: 'optim-stack' });
    const node = el('details', { id: 'optim_own_scorers', hidden: true }, el('summary', { class: 'optim-note' }, title, ' · ', hint), body);
    let drawn = '';
    const draw = () => {
      const own = plan.setup && plan.setup.own_scorers;
      const signature = JSON.stringify(own || null);
      if (signature === drawn) return;
      drawn = signature;
      optim.show(node, own);
      if (!own) return;
      const good = own.files.filter((file) => file.scorer);
      const problems = own.files.map((file) => file.problem).filter(Boolean);
      optim.setText(hint, [good.length ? optim.plural(good.length, 'judge') : 'none', ...(problems.length ? [optim.plural(problems.length, 'problem')] : [])].join(', '));
      optim.setClass(hint, 'optim-warning', problems.length > 0);
      if (problems.length) node.open = true;
      body.replaceChildren(
        el('div', { class: 'optim-help' }, 'Python files in ', el('span', { class: 'optim-path', text: own.folder }), ' with a function ', el('code', { text: 'score(images, prompts)' }), ' appear in the list after Refresh.'),
        ...good.map((file) => el('div', { class: 'optim-note', text: `${file.file}: ${file.scorer}` })),
        ...problems.map((text) => el('div', { class: 'optim-error', text })));
    };
    return { node, draw };
  };
})();
