// The merge method: those that take this number of models, and a row per parameter (search in a range, or fixed).
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el, tr } = optim;

  optim.parts.method = (plan) => {
    const method = optim.combo({
      id: 'optim_method',
      label: tr('Merge method'),
      placeholder: tr('Loading the methods …'),
      onChange: (value) => {
        plan.form.method = value;
        plan.form.methods = value === 'recipe' || value === 'layer_adjust' ? [] : others().filter((id) => id !== value);
        plan.form.parameters = {};
        if (value === 'layer_adjust') plan.form.adjust = false;
        suitModels();
        plan.changed('method');
      },
    });
    const formula = el('div', { class: 'optim-formula', id: 'optim_formula' });
    const parameters = el('div', { class: 'optim-parameters', id: 'optim_parameters' });
    const adjust = optim.check('optim_adjust', tr('Adjust contrast, colour and detail too'), (on) => {
      plan.form.adjust = on;
      plan.changed('adjust');
    }, tr('Eight numbers on top of the merge, each one for the whole model. They change six small tensors.'));
    const adjustments = el('div', { class: 'optim-parameters', id: 'optim_adjustments' });
    const recipe = optim.recipeBox(plan, (parameter) => parameterLine(parameter));
    const own = optim.ownMethods(plan);
    const others = () => plan.form.methods || [];
    const choice = optim.methodChoice(plan, () => {
      drawnParameters = '';
      plan.changed('methods');
    });
    const section = optim.section({ id: 'optim_method_card', title: tr('Method') }, method.node, choice.node, recipe.node, formula, parameters, adjust.node, adjustments, own.node);

    const rowCalled = (id) => plan.methods && plan.methods.find((row) => row.id === id);
    const isRecipe = () => plan.form.method === 'recipe';
    const methodRow = () => (isRecipe() ? plan.recipe && plan.recipe.method : choice.row() || rowCalled(plan.form.method));
    const single = (row) => Boolean(row) && row.max_models === 1;
    const count = () => {
      const chosen = plan.form.models.filter(Boolean).length;
      return single(methodRow()) ? Math.max(1, chosen) : Math.max(2, chosen);
    };
    // A method for one model puts the others aside; the next one for several takes them back.
    let aside = [];
    const suitModels = () => {
      const rest = plan.form.models.slice(1);
      if (single(methodRow()) && rest.some(Boolean)) aside = rest;
      else if (single(methodRow()) || rest.some(Boolean) || !aside.some(Boolean)) return;
      plan.form.models = [plan.form.models[0], ...(single(methodRow()) ? rest.map(() => '') : aside)];
      plan.touched.add('model1');
    };
    const takes = (row, n) => row.min_models <= n && (row.max_models === null || n <= row.max_models);
    const fitMethod = () => {
      const row = methodRow();
      if (!plan.methods || isRecipe() || (row && takes(row, count()))) return;
      const preferred = count() === 3 ? 'add_difference' : 'weighted_sum';
      const next = plan.methods.find((m) => m.id === preferred && takes(m, count())) || plan.methods.find((m) => takes(m, count()));
      plan.form.method = next ? next.id : '';
      plan.form.methods = [];
      plan.form.parameters = {};
    };

    const parameterLine = (parameter) => {
      const state = plan.form.parameters[parameter.name] || { vary: parameter.searched, text: '' };
      plan.form.parameters[parameter.name] = state;
      const text = el('input', {
        type: 'text', class: 'optim-input', id: `optim_parameter_${parameter.name}`, value: state.text, spellcheck: 'false',
        'aria-label': tr('Range or value of {name}', { name: parameter.name }),
        on: {
          input: () => {
            state.text = text.value;
            plan.changed('parameters');
          },
        },
      });
      const hint = () => {
        const standard = parameter.shown || (parameter.default === null ? tr('needs a value') : `${parameter.default}`);
        text.placeholder = state.vary ? parameter.range : standard;
        text.title = state.vary ? tr('The range to search: 0..1, 0..1 step 0.05, {a, b}') : tr('The value to use everywhere');
        optim.setText(word, state.vary ? tr('search in') : tr('fixed at'));
      };
      const word = el('span', { class: 'optim-note' });
      const help = tr('Ticked: the search varies it. Not ticked: one fixed value.');
      const box = optim.check(`optim_vary_${parameter.name}`, parameter.label || parameter.name, (on) => {
        state.vary = on;
        state.text = text.value = '';
        hint();
        plan.changed('parameters');
      }, parameter.title ? `${parameter.title}. ${help}` : help);
      box.box.checked = state.vary;
      hint();
      return el('div', { class: 'optim-parameter' }, box.node, word, text);
    };
    let drawnParameters = '';
    const drawParameters = () => {
      const row = methodRow();
      const adjusts = rowCalled('layer_adjust');
      const signature = `${row ? row.id : ''}|${Boolean(plan.methods)}|${plan.form.adjust}|${isRecipe() ? plan.form.recipe : ''}|${Boolean(plan.recipe)}`;
      if (signature === drawnParameters) return;
      drawnParameters = signature;
      optim.setText(formula, row && !isRecipe() ? row.formula : '');
      optim.show(formula, !isRecipe());
      recipe.drawTree();
      const own = row && !isRecipe() ? row.parameters : [];
      const none = row && !isRecipe() && !own.length;
      parameters.replaceChildren(...(none ? [el('div', { class: 'optim-help', text: tr('This method has no parameter to vary.') })] : own.map(parameterLine)));
      const given = isRecipe() && row ? row.parameters.filter((parameter) => parameter.blocks.length) : [];
      const extra = given.length ? given : plan.form.adjust && adjusts ? adjusts.parameters : [];
      adjust.node.hidden = Boolean(given.length) || plan.form.method === 'layer_adjust'; // it is there already
      adjustments.replaceChildren(...extra.map(parameterLine));
    };

    return {
      sections: { method: section },
      fitMethod,
      refill: () => {
        if (plan.methods && !methodRow() && !isRecipe()) plan.form.parameters = {};
        drawnParameters = '';
      },
      draw: () => {
        if (plan.methods) {
          const fitting = plan.methods.filter((row) => takes(row, count()));
          const alone = plan.methods.filter((row) => single(row) && !fitting.includes(row));
          const rows = [...fitting, ...alone].map((row) => ({ value: row.id, label: row.title, note: row.formula }));
          method.setOptions([...rows, { value: 'recipe', label: tr('From a recipe …'), note: tr('Optimise the numbers of any .mecha recipe') }]);
          method.input.placeholder = tr('Choose a method');
        }
        method.set(plan.methods ? plan.form.method : '');
        choice.draw(plan.methods ? plan.methods.filter((row) => takes(row, count()) && !single(row) && row.id !== plan.form.method && !others().includes(row.id)) : []);
        adjust.box.checked = Boolean(plan.form.adjust);
        recipe.draw();
        own.draw();
        drawParameters();
      },
    };
  };
})();
