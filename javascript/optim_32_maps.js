// The user's own block maps: a choice where there are any for model A, and why one cannot be used.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  optim.blockMaps = (plan) => {
    const select = el('select', {
      id: 'optim_block_map', class: 'optim-input', 'aria-label': 'Block map', on: {
        change: () => {
          plan.form.vary.block_map = select.value;
          plan.changed('vary');
        },
      },
    });
    const problems = el('div', { class: 'optim-stack', id: 'optim_block_map_problems' });
    const node = el('div', { class: 'optim-stack' }, select, problems);
    let drawn = '';
    return {
      node,
      draw: () => {
        const own = plan.setup.block_maps;
        const base = plan.setup.models.find((row) => row.path === plan.form.models[0]);
        const fitting = own.maps.filter((row) => base && row.architecture === base.architecture);
        const chosen = plan.form.vary.block_map || '';
        const signature = JSON.stringify([own, fitting.map((row) => row.name), chosen]);
        if (signature === drawn) return;
        drawn = signature;
        const gone = chosen && !fitting.some((row) => row.name === chosen) ? [chosen] : [];
        select.replaceChildren(el('option', { value: '', text: 'The usual blocks' }), ...fitting.map((row) => el('option', { value: row.name, text: `Blocks of ${row.name}` })),
          ...gone.map((name) => el('option', { value: name, text: `Blocks of ${name} (not for this model)` })));
        select.value = chosen;
        select.title = `Block maps of your own: YAML files in ${own.folder}`;
        optim.show(select, fitting.length || gone.length);
        const sentences = own.maps.flatMap((row) => row.problems);
        problems.replaceChildren(...sentences.map((text) => el('div', { class: 'optim-error', text })));
        optim.show(node, fitting.length || gone.length || sentences.length);
      },
    };
  };
})();
