// What to paste into an issue: one button; names of models and files only where they are asked for.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el, tr } = optim;

  optim.parts.report = (attempt) => {
    const names = el('input', { type: 'checkbox', id: 'optim_report_names' });
    const asked = async () => (await optim.get(`report?names=${names.checked ? 1 : 0}`)).text;
    const done = el('span', { class: 'optim-help', id: 'optim_report_done', role: 'status' });
    const show = (text) => optim.dialog(tr('Report'), el('pre', { class: 'optim-report', id: 'optim_report_text', text })).classList.add('optim-wide');
    const copy = optim.button('optim_report_copy', tr('Copy report'), () => attempt(async () => {
      const text = await asked();
      try {
        await navigator.clipboard.writeText(text);
        optim.setText(done, tr('Copied.'));
      } catch (error) {
        show(text); // no clipboard over plain http from another machine: it is marked and copied by hand
      }
    }), '', tr('Versions, settings, the last errors and the self-test, for pasting into an issue; no folders, no prompts'));
    const read = optim.button('optim_report_read', tr('Show report'), () => attempt(async () => show(await asked())));
    return optim.section({ id: 'optim_report_card', title: tr('Report a problem'), open: false },
      el('div', { class: 'optim-help', text: tr('Versions, settings, the last errors and the self-test. It holds no folders and no prompts, and names of models only if you tick them.') }),
      el('label', { class: 'optim-check' }, names, el('span', { text: tr('With names of models, files and what messages quote') })),
      el('div', { class: 'optim-row optim-tight' }, copy, read, done));
  };
})();
