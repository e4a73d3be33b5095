// The self-test: a button, its progress, its report.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el, tr } = optim;

  optim.parts.selftest = (attempt) => {
    let report = '';
    const note = el('div', { class: 'optim-help', text: tr('Checks on this very program that merging, generating and putting your model back work. Takes a few minutes and uses the loaded model.') });
    const copy = optim.button('optim_selftest_copy', tr('Copy report'), () => navigator.clipboard.writeText(report), '', tr('For pasting into an issue; holds no paths, prompts or model names'));
    const read = optim.button('optim_selftest_read', tr('Show report'), () => {
      const box = optim.dialog(tr('Self-test'), el('pre', { class: 'optim-report', id: 'optim_selftest_report', text: report }));
      box.classList.add('optim-wide');
    });
    copy.hidden = read.hidden = true;
    const show = (answer) => {
      optim.setDisabled(run, answer.state === 'running');
      optim.setText(run, answer.state === 'running' ? tr('Testing …') : tr('Run self-test'));
      report = answer.text;
      optim.show(read, answer.text);
      optim.show(copy, answer.state === 'done');
      section.summary(answer.state === 'running' ? (answer.at || tr('running …')) : answer.state === 'done' ? (answer.failed ? tr('{n} failed', { n: answer.failed }) : tr('no failure')) : answer.state === 'failed' ? tr('ended early') : '');
      if (answer.state === 'running') setTimeout(() => attempt(async () => show(await optim.get('selftest'))), 1500);
    };
    const run = optim.button('optim_selftest', tr('Run self-test'), () => attempt(async () => show(await optim.post('selftest'))));
    const section = optim.section({ id: 'optim_selftest_card', title: tr('Self-test'), open: false }, note, el('div', { class: 'optim-row optim-tight' }, run, read, copy));
    section.node.addEventListener('toggle', () => (section.node.open ? attempt(async () => show(await optim.get('selftest'))) : null));
    return section;
  };
})();
