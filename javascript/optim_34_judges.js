// Judges: scorers with their weights and options, and the user's own eyes.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el, tr } = optim;

  // A goal for a judge that has none: its own, unless there are three already; then the last of them.
  optim.newGoal = (row, rows, titleOf) => {
    const taken = [...new Set(rows.filter((other) => other !== row).map((other) => other.axis).filter(Boolean))];
    return row.axis || (taken.length < 3 ? titleOf(row.id).slice(0, 40).trim() : taken[taken.length - 1]);
  };

  optim.parts.judges = (plan) => {
    const judges = el('div', { class: 'optim-list', id: 'optim_judges' });
    const own = optim.ownScorers(plan);
    const combining = optim.combiningOptions(plan);
    const section = optim.section({ id: 'optim_judges_card', title: tr('Judges'), open: false }, judges,
      el('div', { class: 'optim-help', text: tr('Several judges: each score is brought to the same scale, then averaged by weight. Weight 0: only watched.') }), own.node, combining.node,
    optim.calibrate(plan, (rows) => {
      plan.form.scorers = rows;
      if (goals.box.checked) for (const row of rows) row.axis = optim.newGoal(row, rows, titleOf);
      drawJudges();
      plan.changed('scorers');
    }));
    // Several goals: every chosen judge names one; judges of the same name count as one goal, by their weights.
    const goals = optim.check('optim_goals', tr('Several goals'), (on) => {
      if (on) for (const row of plan.form.scorers) row.axis = optim.newGoal(row, plan.form.scorers, titleOf);
      else for (const row of plan.form.scorers) delete row.axis;
      drawJudges();
      plan.changed('scorers');
    }, tr('Goals that are not weighed against each other: the search looks for the merges that no other one beats on all of them, and you choose among these'));
    const goalsHelp = el('div', { class: 'optim-help', hidden: true, text: tr('Name two or three goals. The run looks for good compromises of every kind; the card “Goals” shows them while it goes on, and you choose. Weights count within a goal, and for the score that stands where you choose none.') });
    section.body.append(goals.node, goalsHelp);
    const titleOf = (id) => (plan.setup.scorers.find((s) => s.id === id) || { title: id }).title;
    const judgeRow = (id) => plan.form.scorers.find((row) => row.id === id);
    const drawJudges = () => {
      const several = plan.form.scorers.some((row) => row.axis);
      goals.box.checked = several;
      optim.show(goalsHelp, several);
      const judgeOf = (row) => {
        const state = judgeRow(row.id) || { id: row.id, weight: 1, options: {} };
        const weight = el('input', {
          type: 'number', class: 'optim-input optim-weight', min: 0, step: 0.1, value: state.weight, 'aria-label': tr('Weight of {name}', { name: row.title }),
          on: {
            input: () => {
              state.weight = weight.value;
              plan.changed('scorers');
            },
          },
        });
        const options = row.id === 'manual' ? [...optim.ways(plan, state, ratingsField(state)), aheadField(state)]
          : row.options.map((option) => optionField(row, option, state));
        const goal = several ? optim.field(tr('Goal'), el('input', {
          type: 'text', class: 'optim-input optim-goal', id: `optim_goal_${row.id}`, maxlength: 40, spellcheck: 'false', value: state.axis || '',
          on: {
            input: (event) => {
              state.axis = event.target.value;
              plan.changed('scorers');
            },
          },
        })) : null;
        const more = el('div', { class: 'optim-options' }, goal, ...options, optim.judgedPayloads(row, state, plan));
        const box = el('input', {
          type: 'checkbox', value: row.id, checked: Boolean(judgeRow(row.id)),
          on: {
            change: () => {
              plan.form.scorers = plan.form.scorers.filter((other) => other.id !== row.id);
              if (box.checked) plan.form.scorers.push(state);
              if (box.checked && several && !state.axis) {
                state.axis = optim.newGoal(state, plan.form.scorers, titleOf);
                drawJudges();
              }
              reveal();
              plan.changed('scorers');
            },
          },
        });
        const side = el('label', { class: 'optim-weight-field' }, el('span', { class: 'optim-note', text: tr('weight') }), weight);
        const reveal = () => {
          side.hidden = !box.checked;
          more.hidden = !box.checked;
        };
        reveal();
        return el('div', { class: 'optim-judge' },
          el('div', { class: 'optim-judge-head' },
            el('label', { class: 'optim-choice' }, box,
              el('span', { class: 'optim-choice-text' }, el('b', { text: row.title }),
                el('span', { class: 'optim-help', text: row.measures }))),
            side),
          about(row), more);
      };
      // The usual judges in sight, the others folded away by what they are for; a fold that holds a chosen one is open.
      const openFolds = new Set([...judges.querySelectorAll('.optim-judges-more[open]')].map((fold) => fold.dataset.group));
      const inGroup = (id) => plan.setup.scorers.filter((row) => row.group === id);
      const folds = plan.setup.scorer_groups.map((group) => {
        const rows = inGroup(group.id);
        const open = openFolds.has(group.id) || rows.some((row) => judgeRow(row.id));
        return rows.length ? el('details', { class: 'optim-more optim-judges-more', 'data-group': group.id, open },
          el('summary', {}, group.title, el('span', { class: 'optim-note', text: ` · ${rows.length}` })), ...rows.map(judgeOf)) : null;
      });
      judges.replaceChildren(...inGroup('').map(judgeOf), ...folds.filter(Boolean));
    };
    const about = (row) => {
      const needs = row.weights.reduce((sum, file) => sum + file.bytes, 0);
      const files = row.weights.map((file) => el('div', {},
        el('a', { href: file.url, target: '_blank', rel: 'noreferrer', text: file.name }), ` (${optim.bytes(file.bytes)})`));
      const facts = [
        [tr('Fooled by'), row.fooled_by],
        [tr('Raw score'), row.range],
        row.memory ? [tr('Memory'), optim.bytes(row.memory)] : null,
        row.licence ? [tr('Licence'), row.licence] : null,
        files.length ? [tr('Weights'), files] : null,
      ].filter(Boolean);
      return el('details', { class: 'optim-more optim-about', 'data-judge': row.id }, el('summary', { class: 'optim-note', text: needs ? tr('About this judge; needs {size} of weights', { size: optim.bytes(needs) }) : tr('About this judge') }),
        el('dl', { class: 'optim-facts-list' }, ...facts.flatMap(([name, value]) => [
          el('dt', { text: name }), Array.isArray(value) ? el('dd', {}, ...value) : el('dd', { text: value })])));
    };
    const ratingsField = (state) => {
      const input = el('input', {
        id: 'optim_ratings', type: 'text', class: 'optim-input', spellcheck: 'false', value: state.ratings || '', placeholder: tr('one rating; or anatomy=2, style, prompt'),
        on: {
          input: () => {
            state.ratings = input.value;
            plan.changed('scorers');
          },
        },
      });
      return optim.field(tr('Several ratings per image (name=weight)'), input, tr('Empty: one rating. Each name is a row of its own in the rating panel, weighed by its number.'));
    };
    const aheadField = (state) => {
      const input = el('input', {
        id: 'optim_ahead', type: 'number', min: 0, max: 10, step: 1, class: 'optim-input', value: state.ahead === undefined ? 1 : state.ahead,
        on: {
          input: () => {
            state.ahead = input.value;
            plan.changed('scorers');
          },
        },
      });
      return optim.field(tr('Trials that may wait for you'), input, tr('While you rate, the next trial is made, until so many wait. 0: each waits for the one before. Searches that work in generations wait all the same.'));
    };
    const optionField = (row, option, state) => {
      const id = `optim_option_${row.id}_${option.name}`;
      const label = `${option.title}${option.required ? ` ${tr('(needed)')}` : ''}`;
      const current = state.options[option.name];
      const keep = (value) => {
        state.options[option.name] = value;
        plan.changed('scorers');
      };
      if (option.kind === 'bool') {
        const box = optim.check(id, label, keep);
        box.box.checked = Boolean(current === undefined ? option.default : current);
        return box.node;
      }
      if (option.kind === 'choice') {
        const select = el('select', { id, class: 'optim-input', on: { change: () => keep(select.value) } },
          ...option.choices.map((choice) => el('option', { value: choice, text: choice })));
        select.value = current === undefined ? option.default : current;
        return optim.field(label, select);
      }
      const input = el('input', {
        id, type: option.kind === 'number' ? 'number' : 'text', step: 'any', class: 'optim-input', spellcheck: 'false',
        value: current === undefined ? '' : current,
        placeholder: option.default === null || option.default === '' ? (option.kind === 'image' ? tr('Path of an image file') : option.kind === 'path' ? tr('Path of a file') : '') : `${option.default}`,
        on: { input: () => keep(input.value) },
      });
      return optim.field(label, input);
    };

    return {
      sections: { judges: section },
      refill: drawJudges,
      draw: () => {
        own.draw();
        combining.draw();
        const titles = plan.form.scorers.map((row) => (plan.setup.scorers.find((s) => s.id === row.id) || { title: row.id }).title);
        const axes = new Set(plan.form.scorers.map((row) => row.axis).filter(Boolean));
        section.summary(!titles.length ? tr('none chosen') : axes.size > 1 ? tr('{n} goals: {names}', { n: axes.size, names: [...axes].join(', ') }) : titles.join(' + '));
      },
    };
  };
})();
