// Payloads: which prompts every merge is judged by.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  optim.parts.payloads = (plan) => {
    const payloads = el('div', { class: 'optim-list', id: 'optim_payloads' });
    const payloadNote = el('div', { class: 'optim-help' });
    const section = optim.section({ id: 'optim_payloads_card', title: 'Payloads', open: false }, payloads, payloadNote);
    const drawPayloads = () => {
      payloads.replaceChildren(...plan.setup.payloads.map((row) => {
        const box = el('input', {
          type: 'checkbox', value: row.name, checked: plan.form.payloads.includes(row.name),
          on: {
            change: () => {
              const on = new Set([...payloads.querySelectorAll('input:checked')].map((input) => input.value));
              plan.form.payloads = plan.setup.payloads.map((p) => p.name).filter((name) => on.has(name));
              plan.changed('payloads');
            },
          },
        });
        const facts = `${optim.plural(row.images, 'image')} · ${row.size} · ${optim.plural(row.steps, 'step')}${row.weight === 1 ? '' : ` · weight ${row.weight}`}`;
        return el('div', { class: 'optim-payload' }, el('label', { class: 'optim-choice' }, box,
          el('span', { class: 'optim-choice-text' },
            el('span', { class: 'optim-choice-name' }, el('b', { text: row.name }), el('span', { class: 'optim-note', text: facts })),
            el('span', { class: 'optim-prompt', text: row.prompt || '(no prompt)', title: row.prompt }))), optim.payloadButton(plan, row, written));
      }));
      const problems = plan.setup.payload_problems.map((sentence) => el('div', { class: 'optim-warning', text: sentence }));
      const where = plan.setup.folders.payloads[plan.setup.folders.payloads.length - 1];
      payloadNote.replaceChildren(...problems, optim.newPayloads(plan, written, (problem) => payloadNote.append(el('div', { class: 'optim-error', text: problem.message }))),
        el('div', { text: `Your own lie in ${where}; put .json, .yaml or .toml files there and click Refresh above.` }));
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
        section.summary(chosen.length ? `${optim.plural(images, 'image')} · ${chosen.map((row) => row.name).join(', ')}` : 'none chosen');
      },
    };
  };
})();
