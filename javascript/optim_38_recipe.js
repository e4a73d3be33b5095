// A recipe as the method: the box that names it, and its graph with a tick beside every number.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  // `line` makes the row of one parameter (tick, range).
  optim.recipeBox = (plan, line) => {
    const files = el('datalist', { id: 'optim_recipe_files' });
    const path = el('input', {
      id: 'optim_recipe_path', type: 'text', class: 'optim-input', list: 'optim_recipe_files', spellcheck: 'false',
      placeholder: 'A .mecha file, or a checkpoint that carries its recipe', 'aria-label': 'Recipe file',
      on: { change: () => read(path.value) },
    });
    const problem = el('div', { class: 'optim-help optim-warning', id: 'optim_recipe_problem', hidden: true });
    const tree = el('div', { class: 'optim-tree', id: 'optim_recipe_tree' });
    const node = el('div', { class: 'optim-stack', id: 'optim_recipe', hidden: true },
      el('div', { class: 'optim-row optim-nowrap' }, path, optim.button('optim_recipe_read', 'Read', () => read(path.value), 'small', 'Read the recipe again')),
      files, problem, tree);
    let listed = false;
    let round = 0;

    const say = (text) => {
      optim.setText(problem, text);
      optim.show(problem, text);
    };
    const list = async () => {
      listed = true;
      try {
        const rows = (await optim.get('recipes')).recipes;
        files.replaceChildren(...rows.map((row) => el('option', { value: row.path, label: `${row.title} · ${row.note}` })));
      } catch (error) {
        say(error.message);
      }
    };
    // The models become those of the recipe, and the ticks the ones that the recipe's methods search by default.
    const read = async (wanted) => {
      if (!wanted.trim()) return;
      const mine = ++round;
      try {
        const found = await optim.post('recipe', { path: wanted });
        if (mine !== round || plan.form.method !== 'recipe') return;
        plan.recipe = found;
        plan.form.recipe = found.text;
        plan.form.recipe_path = wanted;
        plan.form.parameters = {};
        const models = found.models.map((model) => model.path);
        while (models.length < 3) models.push('');
        plan.form.models = models;
        models.forEach((_, i) => plan.touched.add(`model${i}`));
        for (const key of ['method', 'recipe_path', 'parameters']) plan.touched.add(key);
        plan.changed('recipe');
      } catch (error) {
        if (mine === round) say(error.message);
      }
    };
    // After the page was opened again: what was chosen comes back, the file is not read anew.
    const remind = async () => {
      const mine = ++round;
      try {
        const found = await optim.post('recipe', { path: plan.form.recipe_path, text: plan.form.recipe });
        if (mine !== round) return;
        plan.recipe = found;
        plan.changed('recipe');
      } catch (error) {
        if (mine === round) say(error.message);
      }
    };

    const draw = () => {
      optim.show(node, plan.form.method === 'recipe');
      if (plan.form.method !== 'recipe') return;
      if (!listed) list();
      if (!plan.recipe && plan.form.recipe) remind();
      optim.assign(path, plan.form.recipe_path);
      if (plan.recipe) say(plan.recipe.problem);
    };
    const drawTree = () => {
      const recipe = plan.form.method === 'recipe' ? plan.recipe : null;
      const rows = recipe ? recipe.tree.flatMap((step) => {
        const indent = { style: `padding-left: ${step.depth * 18}px` };
        const head = el('div', { class: `optim-tree-${step.kind}`, ...indent }, el('span', { text: step.title }),
          step.note || step.kind === 'again' ? el('span', { class: 'optim-note', text: step.note || 'as above' }) : null);
        const inputs = step.inputs.map((input) => {
          const parameter = recipe.method.parameters.find((row) => row.name === input.name);
          const style = { style: `padding-left: ${step.depth * 18 + 18}px` };
          return parameter ? el('div', { class: 'optim-tree-input', ...style }, line({ ...parameter, shown: input.value, label: `${input.name.slice(step.title.length + 1)} (${input.value})` }))
            : el('div', { class: 'optim-note', ...style, text: `${input.name} = ${input.value}` });
        });
        return [head, ...inputs];
      }) : [];
      tree.replaceChildren(...rows);
    };
    return { node, draw, drawTree };
  };
})();
