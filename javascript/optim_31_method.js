// The merge method: those that take this number of models, and a row per parameter (search in a range, or fixed).
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  optim.parts.method = (plan) => {
    const method = optim.combo({
      id: 'optim_method',
      label: 'Merge method',
      placeholder: 'Loading the methods …',
      onChange: (value) => {
        plan.form.method = value;
        plan.form.parameters = {};
        plan.changed('method');
      },
    });
    const formula = el('div', { class: 'optim-formula', id: 'optim_formula' });
    const parameters = el('div', { class: 'optim-parameters', id: 'optim_parameters' });
    const section = optim.section({ id: 'optim_method_card', title: 'Method' }, method.node, formula, parameters);

    const methodRow = () => plan.methods && plan.methods.find((row) => row.id === plan.form.method);
    const count = () => (plan.form.models[2] ? 3 : 2);
    const takes = (row, n) => row.min_models <= n && (row.max_models === null || n <= row.max_models);
    const fitMethod = () => {
      const row = methodRow();
      if (!plan.methods || (row && takes(row, count()))) return;
      const preferred = count() === 3 ? 'add_difference' : 'weighted_sum';
      const next = plan.methods.find((m) => m.id === preferred && takes(m, count())) || plan.methods.find((m) => takes(m, count()));
      plan.form.method = next ? next.id : '';
      plan.form.parameters = {};
    };

    let drawnParameters = '';
    const drawParameters = () => {
      const row = methodRow();
      const signature = `${row ? row.id : ''}|${Boolean(plan.methods)}`;
      if (signature === drawnParameters) return;
      drawnParameters = signature;
      optim.setText(formula, row ? row.formula : '');
      if (!row || !row.parameters.length) {
        parameters.replaceChildren(row ? el('div', { class: 'optim-help', text: 'This method has no parameter to vary.' }) : '');
        return;
      }
      const lines = row.parameters.map((parameter) => {
        const state = plan.form.parameters[parameter.name] || { vary: parameter.searched, text: '' };
        plan.form.parameters[parameter.name] = state;
        const text = el('input', {
          type: 'text', class: 'optim-input', id: `optim_parameter_${parameter.name}`, value: state.text, spellcheck: 'false',
          'aria-label': `Range or value of ${parameter.name}`,
          on: {
            input: () => {
              state.text = text.value;
              plan.changed('parameters');
            },
          },
        });
        const hint = () => {
          const standard = parameter.default === null ? 'needs a value' : `${parameter.default}`;
          text.placeholder = state.vary ? parameter.range : standard;
          text.title = state.vary ? 'The range to search: 0..1, 0..1 step 0.05, {a, b}' : 'The value to use everywhere';
          optim.setText(word, state.vary ? 'search in' : 'fixed at');
        };
        const word = el('span', { class: 'optim-note' });
        const box = optim.check(`optim_vary_${parameter.name}`, parameter.name, (on) => {
          state.vary = on;
          state.text = text.value = '';
          hint();
          plan.changed('parameters');
        }, 'Ticked: the search varies it. Not ticked: one fixed value.');
        box.box.checked = state.vary;
        hint();
        return el('div', { class: 'optim-parameter' }, box.node, word, text);
      });
      parameters.replaceChildren(...lines);
    };

    return {
      sections: { method: section },
      fitMethod,
      refill: () => {
        if (plan.methods && !methodRow()) plan.form.parameters = {};
        drawnParameters = '';
      },
      draw: () => {
        if (plan.methods) {
          const fitting = plan.methods.filter((row) => takes(row, count()));
          method.setOptions(fitting.map((row) => ({ value: row.id, label: row.title, note: row.formula })));
          method.input.placeholder = 'Choose a method';
        }
        method.set(plan.methods ? plan.form.method : '');
        drawParameters();
      },
    };
  };
})();
