// Payloads: which prompts every merge is judged by.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el, tr } = optim;

  optim.parts.payloads = (plan) => {
    const payloads = el('div', { class: 'optim-list', id: 'optim_payloads' });
    const payloadNote = el('div', { class: 'optim-help' });
    const section = optim.section({ id: 'optim_payloads_card', title: tr('Payloads'), open: false }, payloads, payloadNote);
    const noted = (problem) => payloadNote.append(el('div', { class: 'optim-error', text: problem.message }));
    // The user's own order; what is new comes last.
    const ordered = () => {
      const order = optim.recall('payload_order', []);
      const place = (row) => (order.includes(row.name) ? order.indexOf(row.name) : order.length);
      return [...plan.setup.payloads].sort((a, b) => place(a) - place(b));
    };
    const choose = () => {
      const on = new Set(plan.form.payloads);
      plan.form.payloads = ordered().map((p) => p.name).filter((name) => on.has(name));
      plan.changed('payloads');
    };
    // Puts a payload before another one, or last.
    const move = (name, before) => {
      const names = ordered().map((row) => row.name).filter((other) => other !== name);
      names.splice(before === null ? names.length : names.indexOf(before), 0, name);
      optim.remember('payload_order', names);
      choose();
      drawPayloads();
    };
    const handle = (row) => el('span', {
      role: 'button', tabindex: 0, class: 'optim-payload-handle', draggable: 'true', 'aria-label': tr('Move {name}: up and down keys', { name: row.name }), title: tr('Move: drag, or up and down keys'), text: '⠿',
      on: {
        keydown: (event) => {
          if (event.key !== 'ArrowUp' && event.key !== 'ArrowDown') return;
          event.preventDefault();
          const names = ordered().map((other) => other.name);
          const at = names.indexOf(row.name);
          if (event.key === 'ArrowUp' && at > 0) move(row.name, names[at - 1]);
          if (event.key === 'ArrowDown' && at < names.length - 1) move(row.name, at + 2 < names.length ? names[at + 2] : null);
          const again = [...payloads.children].find((node) => node.dataset.payload === row.name);
          if (again) again.querySelector('.optim-payload-handle').focus();
        },
        dragstart: (event) => {
          event.dataTransfer.setData('application/x-optim-payload', row.name);
          event.dataTransfer.effectAllowed = 'move';
        },
      },
    });
    const weigh = (row) => {
      const stuck = row.unable.length > 0;
      const input = el('input', {
        class: 'optim-input optim-payload-weight', type: 'number', min: 0, step: 'any', value: row.weight, disabled: stuck, 'aria-label': tr('Weight of {name}', { name: row.name }),
        title: stuck ? tr('This program has no {fields}; edit the payload instead', { fields: row.unable.join(', ') }) : tr('Weight in the score; 0: made and shown, not scored'), on: {
          change: async () => {
            try {
              await optim.post('payload', { payload: { ...row.payload, score_weight: Number(input.value) }, instead_of: row.own ? row.name : '' });
              await written(row.name, row.name);
            } catch (problem) {
              input.value = row.weight;
              noted(problem);
            }
          },
        },
      });
      return input;
    };
    const drawPayloads = () => {
      payloads.replaceChildren(...ordered().map((row) => {
        const box = el('input', {
          type: 'checkbox', value: row.name, checked: plan.form.payloads.includes(row.name),
          on: {
            change: () => {
              plan.form.payloads = [...payloads.querySelectorAll('input[type=checkbox]:checked')].map((input) => input.value);
              choose();
            },
          },
        });
        const facts = `${optim.count(row.images, '{n} image', '{n} images')} · ${row.size} · ${optim.count(row.steps, '{n} step', '{n} steps')}`;
        return el('div', { class: 'optim-payload', 'data-payload': row.name, on: {
          dragover: (event) => {
            if ([...event.dataTransfer.types].includes('application/x-optim-payload')) event.preventDefault();
          },
          drop: (event) => {
            const name = event.dataTransfer.getData('application/x-optim-payload');
            if (!name) return;
            event.preventDefault();
            if (name !== row.name) move(name, row.name);
          },
        } }, handle(row), el('label', { class: 'optim-choice' }, box,
          el('span', { class: 'optim-choice-text' },
            el('span', { class: 'optim-choice-name' }, el('b', { text: row.name }), el('span', { class: 'optim-note', text: facts })),
            el('span', { class: 'optim-prompt', text: row.prompt || tr('(no prompt)'), title: row.prompt }))), weigh(row), optim.payloadButton(plan, row, written));
      }));
      const problems = plan.setup.payload_problems.map((sentence) => el('div', { class: 'optim-warning', text: sentence }));
      const where = plan.setup.folders.payloads[plan.setup.folders.payloads.length - 1];
      payloadNote.replaceChildren(...problems, optim.newPayloads(plan, written, noted),
        el('div', { text: tr('Your own lie in {folder}; put .json, .yaml or .toml files there and click Refresh above.', { folder: where }) }));
    };
    // A payload was written (name) or taken away (empty), in place of `old` if that is one: a new one is chosen at once.
    const written = async (name, old) => {
      const chosen = plan.form.payloads.filter((other) => other !== old || name === old);
      if (name && (!old || plan.form.payloads.includes(old))) chosen.push(name);
      plan.form.payloads = [...new Set(chosen)];
      plan.changed('payloads');
      await plan.reload();
      plan.changed('payloads');
    };

    // The tiny demo checkpoints want tiny images; as long as the user has chosen none.
    const suitPayloads = () => {
      if (plan.touched.has('payloads')) return;
      plan.form.payloads = [...plan.setup.payload_sets[plan.form.models[0].replace(/^.*[\\/]/, '').startsWith('demo-') ? 'demo' : 'usual']];
      drawPayloads();
    };

    return {
      sections: { payloads: section },
      suitPayloads,
      refill: () => {
        drawPayloads();
        suitPayloads();
      },
      draw: () => {
        const chosen = plan.setup.payloads.filter((row) => plan.form.payloads.includes(row.name));
        const images = chosen.reduce((sum, row) => sum + row.images, 0);
        section.summary(chosen.length ? `${optim.count(images, '{n} image', '{n} images')} · ${chosen.map((row) => row.name).join(', ')}` : tr('none chosen'));
      },
    };
  };
})();
