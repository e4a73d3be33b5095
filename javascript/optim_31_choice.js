// Further merge methods, of which and the first every trial takes one: what they have in common comes from the server.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  optim.methodChoice = (plan, onChange) => {
    const add = optim.combo({
      id: 'optim_more_methods', label: 'Another method', placeholder: 'Let the search choose: add a method …',
      onChange: (value) => {
        if (!value) return;
        add.input.blur(); // it stays empty: what was added stands above it
        add.set('');
        plan.form.methods = [...others(), value];
        plan.form.parameters = {};
        ask();
      },
    });
    const chips = el('div', { class: 'optim-chips', id: 'optim_methods', hidden: true });
    const said = el('div', { class: 'optim-error', hidden: true });
    const node = el('div', { class: 'optim-stack' }, chips, said, add.node);
    const others = () => plan.form.methods || [];
    const key = () => [plan.form.method, ...others()].join(' ');
    let known = { key: '', row: null };
    let drawn = '';
    // The methods as one: which parameters they share is said by who merges.
    const ask = async () => {
      const mine = key();
      if (others().length && known.key !== mine) {
        known = { key: mine, row: null };
        try {
          const answer = await optim.post('choice', { methods: [plan.form.method, ...others()] });
          if (mine !== key()) return;
          known.row = answer.method;
          optim.show(said, false);
        } catch (error) {
          optim.setText(said, error.message);
          optim.show(said, true);
        }
      }
      if (!others().length) optim.show(said, false);
      onChange();
    };
    return {
      node,
      row: () => (others().length && known.key === key() ? known.row : null),
      draw: (rest) => {
        optim.show(node, plan.methods && plan.form.method && !['recipe', 'layer_adjust'].includes(plan.form.method));
        add.setOptions(rest.map((row) => ({ value: row.id, label: row.title, note: row.formula })));
        if (plan.methods && others().length && known.key !== key()) ask();
        const signature = JSON.stringify([Boolean(plan.methods), others()]);
        if (signature === drawn) return;
        drawn = signature;
        const titleOf = (id) => ((plan.methods || []).find((row) => row.id === id) || { title: id }).title;
        optim.show(chips, others().length);
        chips.replaceChildren(el('span', { class: 'optim-note', text: 'or, as the search finds better:' }), ...others().map((id) =>
          el('span', { class: 'optim-chip' }, titleOf(id), ' ', optim.button(null, '×', () => {
            plan.form.methods = others().filter((other) => other !== id);
            plan.form.parameters = {};
            ask();
          }, 'chip', `Without ${titleOf(id)}`))));
      },
    };
  };
})();
