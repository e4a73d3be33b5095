// The log of the run on show: what it did, and the traces of what went wrong. Asked for only while it is open.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el, tr } = optim;
  const PAUSE = 3000;

  optim.logCard = () => {
    const lines = el('div', { class: 'optim-log', id: 'optim_log_lines', tabindex: 0, role: 'log', 'aria-label': tr('Log of the run') });
    const only = el('input', { type: 'checkbox', id: 'optim_log_bad', on: { change: () => draw() } });
    const section = optim.section({ id: 'optim_log_card', title: tr('Log'), open: false },
      el('label', { class: 'optim-check' }, only, el('span', { text: tr('Only warnings and errors') })), lines);
    let folder = '';
    let active = false;
    let entries = [];
    let shown = '';
    let timer = 0;

    const row = (entry) => {
      const text = el('span', { class: 'optim-log-text', text: entry.text });
      return el('div', { class: 'optim-log-line', 'data-level': entry.level },
        el('span', { class: 'optim-log-time', text: entry.time.slice(11), title: `${entry.time} · ${entry.source}` }),
        entry.more ? el('details', { class: 'optim-log-more' }, el('summary', {}, text), el('pre', { text: entry.more })) : text);
    };
    const draw = () => {
      const wanted = only.checked ? entries.filter((entry) => !['DEBUG', 'INFO'].includes(entry.level)) : entries;
      const key = JSON.stringify([folder, wanted]);
      if (key === shown) return; // what is open, selected or scrolled to stays as it is
      shown = key;
      const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 20;
      lines.replaceChildren(...(wanted.length ? wanted.map(row) : [el('div', { class: 'optim-help', text: only.checked ? tr('No warnings and no errors.') : tr('Nothing is logged yet.') })]));
      if (atEnd) lines.scrollTop = lines.scrollHeight;
    };
    const read = async () => {
      clearTimeout(timer);
      if (!section.node.open || !folder) return;
      const asked = folder;
      try {
        const answer = await optim.get(`run_log/${encodeURIComponent(asked)}`);
        if (asked === folder) {
          entries = answer.entries;
          draw();
        }
      } catch (error) {
        // The bar says so when the program does not answer; the lines that are there stay.
      }
      if (active) timer = setTimeout(read, PAUSE);
    };
    section.node.addEventListener('toggle', read);
    return {
      node: section.node,
      draw: (run, isActive) => {
        const changed = run !== folder || isActive !== active;
        if (run !== folder) entries = [];
        folder = run;
        active = isActive;
        if (changed) read();
      },
    };
  };
})();
