// The form as a whole: its parts in the order in which a person thinks, what they share, and what is remembered.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el, tr } = optim;
  const PARTS = ['models', 'method', 'vary', 'payloads', 'judges', 'budget', 'passes'];
  // Which section a problem belongs to, by the first word of its place in the plan.
  const PLACES = {
    models: 'models', method: 'method', methods: 'method', recipe: 'method', parameters: 'method', vary: 'vary', guide: 'vary', payloads: 'payloads', scorers: 'judges',
    trials: 'budget', budget: 'budget', verify: 'budget', finalists: 'budget', passes: 'passes', sampler: 'budget', seed: 'budget', name: 'run', save: 'run', shared: 'run', disk: 'run',
  };

  optim.parts.form = ({ onChange, onStart, onCheck, onResume, onChangeRun, onFork, onQueued, onStartPlan, onTry, onSay, onFail }) => {
    // What the parts share. `form` is what is sent, `setup` and `methods` are what it can be made of.
    const plan = {
      form: null,
      setup: null,
      methods: null,
      own: null,
      touched: new Set(optim.recall('touched', [])),
      changed: (key) => {
        plan.touched.add(key);
        optim.remember('touched', [...plan.touched]);
        optim.remember('form', plan.form);
        draw();
        onChange();
      },
      reload: () => load(true).catch(() => {}),
      fitMethod: () => parts.method.fitMethod(),
      changeRun: () => onChangeRun(),
      tryPoint: (point) => onTry(point),
      suitPayloads: () => parts.payloads.suitPayloads(),
    };
    const parts = Object.fromEntries(PARTS.map((name) => [name, optim.parts[name](plan)]));
    const sections = Object.assign({}, ...Object.values(parts).map((part) => part.sections));
    const each = (act) => Object.values(parts).forEach((part) => part[act] && part[act]());
    const draw = () => each('draw');
    let running = false;

    const check = optim.button('optim_check', tr('Check plan'), () => onCheck(), '', tr('What this plan comes to, and everything that is wrong with it'));
    const start = optim.button('optim_start_below', tr('Start'), () => onStart(), 'primary');
    const enqueue = optim.button('optim_enqueue', tr('Add to queue'), () => queue.add(), '', tr('This plan as it stands, as one more run that waits for its turn'));
    const queue = optim.queueCard({ form: () => plan.form, say: (sentences) => onSay(sentences), fail: (problem) => onFail(problem), started: () => onQueued() });
    const planLine = el('div', { class: 'optim-planline', id: 'optim_planline' });
    // What is worth knowing about the models: one quiet line, the whole of it behind the click.
    const planNotes = el('button', { type: 'button', class: 'optim-plannotes', id: 'optim_plannotes', hidden: true, title: tr('Show all of it'), on: { click: () => onCheck() } });
    const runs = optim.combo({
      id: 'optim_runs', label: tr('Earlier run'), placeholder: tr('Choose a run'), optional: '',
      onChange: () => drawEarlier(),
    });
    const resume = optim.button('optim_resume', tr('Resume'), () => onResume(runs.get()), '', tr('Go on after the last finished trial'));
    const verify = optim.button('optim_resume_verify', tr('Verify'), () => onResume(runs.get(), true), '', tr('Make its best trials again from fresh seeds and name the winner, without searching on'));
    const fork = optim.button('optim_fork', tr('Fork …'), () => optim.forkDialog(runs.get(), plan.form.trials, onFork), '', tr('A new run from this one, with other judges, prompts, ranges or search; its images are used again'));
    const shelf = optim.shelf({
      selected: () => runs.get(),
      done: async (folder) => {
        await loadRuns();
        if (folder) runs.set(folder);
        drawEarlier();
      },
      say: (sentence) => onSay([sentence]),
      fail: (problem) => onFail(problem),
    });
    const presets = optim.presetCard({ form: () => plan.form, take: (form, read) => takeForm(form, read), start: (given) => onStartPlan(given), say: (sentences) => onSay(sentences), fail: (problem) => onFail(problem) });
    const drawEarlier = () => {
      [resume, verify, fork].forEach((button) => optim.setDisabled(button, !runs.get() || running));
      earlierMore.querySelectorAll('button').forEach((button) => optim.setDisabled(button, !runs.get()));
      shelf.draw(!runs.get());
    };
    const earlierMore = el('div', {});
    drawEarlier();
    const earlier = optim.section({ id: 'optim_resume_card', title: tr('Earlier runs'), open: false },
      runs.node, el('div', { class: 'optim-row optim-nowrap' }, resume, verify, fork), earlierMore, shelf.node);

    // What was chosen before comes back as far as it still exists; what was never touched is today's default.
    const remembered = (defaults) => {
      const old = optim.recall('form', null);
      const next = JSON.parse(JSON.stringify(defaults));
      if (!old) return next;
      const has = (list, key, value) => list.some((row) => row[key] === value);
      while (next.models.length < Math.min((old.models || []).length, 8)) next.models.push('');
      next.models.forEach((_, i) => {
        const path = (old.models || [])[i];
        if (plan.touched.has(`model${i}`) && (has(plan.setup.models, 'path', path) || (i > 0 && path === ''))) next.models[i] = path;
      });
      if (next.models[0] === next.models[1]) next.models[1] = '';
      for (const key of ['method', 'methods', 'parameters', 'sampler', 'sampler_options', 'design', 'presets', 'trials', 'stop', 'verify', 'passes', 'combining', 'seed', 'name', 'save', 'shared', 'disk', 'merge_device', 'vary', 'start', 'earlier', 'recipe', 'recipe_path', 'adjust']) {
        if (plan.touched.has(key) && old[key] !== undefined) next[key] = old[key];
      }
      if (plan.touched.has('payloads')) next.payloads = (old.payloads || []).filter((name) => has(plan.setup.payloads, 'name', name));
      if (plan.touched.has('scorers')) next.scorers = (old.scorers || []).filter((row) => has(plan.setup.scorers, 'id', row.id));
      if (!next.payloads.length) next.payloads = defaults.payloads;
      if (!next.scorers.length) next.scorers = defaults.scorers;
      return next;
    };

    // Another form in place of this one; returns what it names that is not there any more. Payloads of a plan that was
    // read may have come to the list just now.
    const takeForm = (form, read) => {
      const defaults = plan.setup.form;
      plan.touched = new Set([...Object.keys(defaults), ...Object.keys(form), ...(form.models || []).map((_, i) => `model${i}`)]);
      optim.remember('touched', [...plan.touched]);
      optim.remember('form', { ...defaults, ...form });
      const settle = () => {
        plan.form = remembered(defaults);
        parts.models.pairWith();
        fill();
        optim.remember('form', plan.form);
        const gone = (what, names, left) => names.filter((name) => name && !left.includes(name)).map((name) => tr('{what} {name} is not there any more; choose another one.', { what, name: name.replace(/^.*[\\/]/, '') }));
        return [
          ...gone(tr('The model'), form.models || [], plan.form.models),
          ...gone(tr('The prompt'), form.payloads || [], plan.form.payloads),
          ...gone(tr('The judge'), (form.scorers || []).map((row) => row.id), plan.form.scorers.map((row) => row.id)),
        ];
      };
      return read ? optim.get('setup').then((setup) => {
        plan.setup = setup;
        return settle();
      }) : settle();
    };

    const fill = () => {
      each('refill');
      parts.method.fitMethod();
      draw();
      onChange();
    };
    const load = async (refresh) => {
      parts.models.busy(true);
      try {
        plan.setup = await optim.get(refresh ? 'setup?refresh=1' : 'setup');
      } finally {
        parts.models.busy(false);
      }
      const kept = plan.form;
      plan.form = remembered(plan.setup.form);
      while (kept && plan.form.models.length < kept.models.length) plan.form.models.push('');
      if (kept) plan.form.models = plan.form.models.map((path, i) => (kept.models[i] && parts.models.rowOf(kept.models[i]) ? kept.models[i] : path));
      parts.models.pairWith();
      fill();
      if (plan.methods && !refresh) return;
      Object.assign(plan, await optim.get(refresh ? 'methods?refresh=1' : 'methods'));
      fill();
    };
    const loadRuns = async () => {
      const list = (await optim.get('runs')).runs;
      runs.setOptions(list.map((row) => ({ value: row.folder, label: row.folder, note: row.problem || optim.count(row.trials, '{n} trial', '{n} trials'), bad: Boolean(row.problem) })));
      if (!list.some((row) => row.folder === runs.get())) runs.set(list.length ? list[0].folder : '');
      drawEarlier();
      await presets.load();
      earlier.summary(list.length ? optim.count(list.length, '{n} run', '{n} runs') : tr('none yet'));
    };

    const markProblems = (problems) => {
      Object.values(sections).forEach((section) => section.node.classList.remove('optim-has-problem'));
      const placeOf = (where) => (where.startsWith('sampler.start') ? 'vary' : PLACES[where.split(/[.[ ]/)[0]]);
      const marked = problems.map((problem) => sections[placeOf(problem.where)]).filter(Boolean);
      for (const section of marked) {
        section.node.classList.add('optim-has-problem');
        section.open();
      }
      if (marked.length) marked[0].node.scrollIntoView({ block: 'nearest' });
    };

    return {
      node: el('div', { class: 'optim-left', id: 'optim_form' }, ...Object.values(sections).map((section) => section.node),
        el('div', { class: 'optim-actions' }, planLine, planNotes, el('div', { class: 'optim-row optim-nowrap' }, check, enqueue, start)), queue.node, presets.node, earlier.node),
      load,
      loadRuns,
      chooseRun: async (folder) => {
        await loadRuns();
        runs.set(folder);
        drawEarlier();
        earlier.open();
      },
      queue,
      markProblems,
      value: () => plan.form,
      vaes: () => plan.setup.vaes || [],
      judges: () => (plan.setup ? plan.setup.scorers : []),
      ready: () => Boolean(plan.setup && plan.methods),
      // Buttons for the earlier run that is chosen: `make` gets a function that names it.
      setEarlierMore: (make) => {
        earlierMore.replaceChildren(make(() => ({ folder: runs.get(), trial: null })));
        drawEarlier();
      },
      pasteWeights: () => optim.pasteWeights(plan),
      // Returns the name by which it is tried.
      addStart: (name, values) => {
        const taken = new Set(plan.form.start.map((start) => start.name));
        let called = name;
        for (let n = 2; taken.has(called); n += 1) called = `${name} (${n})`;
        plan.form.start = [...plan.form.start, { name: called, values: { ...values } }];
        plan.changed('start');
        return called;
      },
      // A checkpoint that may have come only just now.
      useModel: async (i, path) => {
        await load(true);
        plan.form.models.forEach((other, k) => {
          if (k !== i && other === path) {
            plan.form.models[k] = '';
            plan.touched.delete(`model${k}`); // another may take its place
          }
        });
        plan.form.models[i] = path;
        plan.touched.add(`model${i}`);
        parts.models.pairWith();
        plan.fitMethod();
        plan.changed(`model${i}`);
      },
      setRunning: (on, changeable) => {
        running = on;
        parts.passes.setRunning(changeable);
        optim.setDisabled(start, on);
        const ready = Boolean(plan.setup && plan.methods);
        optim.setDisabled(enqueue, !ready);
        queue.setReady(ready);
        drawEarlier();
      },
      setPlanLine: (text, warn, size) => {
        optim.setText(planLine, text);
        optim.setClass(planLine, 'optim-warning', warn);
        parts.vary.setSize(size);
      },
      setStarts: (count) => parts.budget.setStarts(count),
      setNotes: (warnings, notes, base) => {
        const all = [...warnings, ...notes];
        const more = all.length > 1 ? ` ${tr('(and {n} more)', { n: all.length - 1 })}` : '';
        optim.setText(planNotes, all.length ? `${all[0]}${more}` : '');
        optim.setClass(planNotes, 'optim-warning', warnings.length);
        optim.show(planNotes, all.length);
        parts.models.setBase(base);
      },
    };
  };
})();
