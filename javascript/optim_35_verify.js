// How the winner is verified: how many finalists are made again from fresh seeds, and what is held out for them.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  optim.verifyOptions = (plan) => {
    const state = () => (plan.form.verify ||= { finalists: 3, payloads: [], scorer: '' });
    const set = (key, value) => {
      state()[key] = value;
      plan.changed('verify');
    };
    const count = el('input', {
      id: 'optim_finalists', type: 'number', class: 'optim-input', min: 0, max: 20, step: 1,
      on: { input: () => set('finalists', count.value === '' ? '' : Number(count.value)) },
    });
    const judge = el('select', { id: 'optim_held_out_judge', class: 'optim-input', on: { change: () => set('scorer', judge.value) } });
    const prompts = el('div', { class: 'optim-list', id: 'optim_held_out' });
    const hint = el('span', {});
    const more = el('details', { id: 'optim_verify_more', class: 'optim-more' }, el('summary', { class: 'optim-note' }, 'Held out from the search', ' ', hint),
      el('div', { class: 'optim-help', text: 'Prompts and a judge that the search never sees: do the finalists please them as well?' }),
      optim.field('Held-out judge', judge, 'Decides nothing; its opinion stands beside the result.'), prompts);
    let offered = '';
    const offer = () => {
      const judges = plan.setup.scorers.filter((row) => !row.options.some((option) => option.required) && !plan.form.scorers.some((own) => own.id === row.id));
      const payloads = plan.setup.payloads.filter((row) => !plan.form.payloads.includes(row.name));
      const signature = JSON.stringify([judges.map((row) => row.id), payloads.map((row) => row.name)]);
      if (signature === offered) return;
      offered = signature;
      judge.replaceChildren(el('option', { value: '', text: 'None' }), ...judges.map((row) => el('option', { value: row.id, text: row.title })));
      prompts.replaceChildren(...payloads.map((row) => el('label', { class: 'optim-choice' },
        el('input', {
          type: 'checkbox', value: row.name,
          on: { change: () => set('payloads', [...prompts.querySelectorAll('input:checked')].map((input) => input.value)) },
        }),
        el('span', { class: 'optim-choice-text' }, el('b', { text: row.name }), el('span', { class: 'optim-prompt', text: row.prompt || '(no prompt)', title: row.prompt })))));
    };
    return {
      node: el('div', { class: 'optim-stack' }, optim.field('Verify the best', count,
        'That many of the best are made again from fresh seeds, the same for all; only then a winner is named. 0: no verification.'), more),
      draw: () => {
        offer();
        const now = state();
        // What the search took for itself since cannot be held out.
        now.payloads = now.payloads.filter((name) => !plan.form.payloads.includes(name));
        if (plan.form.scorers.some((row) => row.id === now.scorer)) now.scorer = '';
        optim.assign(count, now.finalists);
        optim.assign(judge, now.scorer);
        for (const box of prompts.querySelectorAll('input')) box.checked = now.payloads.includes(box.value);
        more.hidden = Number(now.finalists) === 0;
        const held = [...now.payloads, now.scorer].filter(Boolean);
        optim.setText(hint, held.length ? `(${held.join(', ')})` : '');
      },
    };
  };

  // --- the outcome: one row per finalist, before and after ---------------------------------------------------------
  optim.verdictCard = (onPick) => {
    const body = el('tbody', {});
    const head = el('tr', {});
    const note = el('div', { class: 'optim-help' });
    const node = el('section', { class: 'optim-card', id: 'optim_verdict', hidden: true },
      el('div', { class: 'optim-section-head' }, el('span', { class: 'optim-title', text: 'Verification' })),
      el('table', { class: 'optim-table' }, el('thead', {}, head), body), note);
    let drawn = '';
    return {
      node,
      draw: (verdict, judges) => {
        const signature = JSON.stringify(verdict);
        optim.show(node, verdict);
        if (!verdict || signature === drawn) return;
        drawn = signature;
        const rows = verdict.finalists;
        const held = rows.some((row) => row.held_out !== null);
        const others = [...new Set(rows.flatMap((row) => Object.keys(row.opinions)))];
        const axes = Object.keys(rows.length ? rows[0].axes_before || {} : {});
        const titleOf = (id) => (judges.find((row) => row.id === id) || { title: id }).title;
        head.replaceChildren(...['Trial', 'In the search', 'Fresh seeds', ...(held ? ['Held-out prompts'] : []), 'Together', ...axes, ...others.map(titleOf)].map((text) => el('th', { text })));
        body.replaceChildren(...[...rows].sort((a, b) => b.together - a.together).map((row) => el('tr', { class: row.trial === verdict.winner ? 'optim-winner' : '', 'data-trial': row.trial },
          el('td', {}, el('button', { type: 'button', class: 'optim-link', title: `Show its images from fresh seeds (trial ${row.again})`, on: { click: () => onPick(row.again) }, text: `${row.trial}${row.trial === verdict.winner ? ' · winner' : ''}` })),
          ...[row.before, row.fresh, ...(held ? [row.held_out] : []), row.together].map((value) => el('td', { class: 'optim-code', text: optim.number(value) })),
          ...axes.map((name) => el('td', { class: 'optim-code', title: 'In the search → fresh seeds', text: `${optim.number(row.axes_before[name])} → ${optim.number(row.axes_fresh[name])}` })),
          ...others.map((id) => el('td', { class: 'optim-code', text: optim.number(row.opinions[id]) })))));
        const lost = verdict.failed.length ? ` Could not be made again: ${verdict.failed.join(', ')}.` : '';
        optim.setText(note, `All of them made the same images from seeds that the search never saw. Together: the mean over old and new images, which decides${axes.length ? ' unless you choose. The goals: in the search → from fresh seeds' : ''}.${lost}`);
      },
    };
  };
})();
