// Small widgets: a dropdown that filters as you type, a section that folds, a labelled field, a dialog.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el, tr } = optim;

  // options: [{value, label, note, bad}]. The box shows the chosen label; typing filters; only listed values count.
  optim.combo = ({ id, label, placeholder, optional, onChange }) => {
    let options = [];
    let value = '';
    let active = -1;
    let shown = [];
    const list = el('div', { class: 'optim-combo-list', role: 'listbox', id: `${id}_list`, hidden: true });
    const input = el('input', {
      id, type: 'text', class: 'optim-input', role: 'combobox', autocomplete: 'off', spellcheck: 'false',
      'aria-expanded': 'false', 'aria-controls': `${id}_list`, 'aria-autocomplete': 'list', 'aria-label': label, placeholder,
    });
    const labelOf = (v) => (options.find((option) => option.value === v) || { label: v }).label;
    const close = () => {
      list.hidden = true;
      input.setAttribute('aria-expanded', 'false');
      input.removeAttribute('aria-activedescendant');
    };
    const rest = () => {
      close();
      input.value = value ? labelOf(value) : '';
      input.title = input.value;
    };
    const choose = (next) => {
      const changed = next !== value;
      value = next;
      rest();
      if (changed && onChange) onChange(value);
    };
    const mark = (i) => {
      active = i;
      [...list.children].forEach((row, k) => row.setAttribute('aria-selected', String(k === i)));
      const row = list.children[i];
      if (row) {
        input.setAttribute('aria-activedescendant', row.id);
        if (row.offsetTop < list.scrollTop) list.scrollTop = row.offsetTop;
        const below = row.offsetTop + row.offsetHeight - list.clientHeight;
        if (below > list.scrollTop) list.scrollTop = below;
      }
    };
    const open = (filter) => {
      const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
      shown = options.filter((o) => words.every((w) => `${o.label} ${o.note || ''}`.toLowerCase().includes(w)));
      if (optional && !words.length) shown = [{ value: '', label: optional }, ...shown];
      const rows = shown.map((option, i) =>
        el('div', {
          id: `${id}_option${i}`, role: 'option', class: `optim-combo-option${option.bad ? ' optim-bad' : ''}`,
          'data-value': option.value,
          on: {
            mousedown: (event) => {
              event.preventDefault();
              choose(option.value);
            },
          },
        }, el('span', { class: 'optim-combo-label', text: option.label }), option.note ? el('span', { class: 'optim-note', text: option.note }) : null));
      list.replaceChildren(...(rows.length ? rows : [el('div', { class: 'optim-combo-none', text: tr('Nothing fits') })]));
      list.hidden = false;
      input.setAttribute('aria-expanded', 'true');
      mark(rows.length ? Math.max(0, shown.findIndex((o) => o.value === value)) : -1);
    };
    input.addEventListener('focus', () => input.select());
    input.addEventListener('mousedown', () => (list.hidden ? open('') : null));
    input.addEventListener('input', () => open(input.value));
    input.addEventListener('blur', rest);
    input.addEventListener('keydown', (event) => {
      if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
        event.preventDefault();
        if (list.hidden) open('');
        else if (shown.length) mark((active + (event.key === 'ArrowDown' ? 1 : shown.length - 1)) % shown.length);
      } else if (event.key === 'Enter' && !list.hidden && !event.ctrlKey) {
        event.preventDefault();
        if (shown[active]) choose(shown[active].value);
      } else if (event.key === 'Escape' && !list.hidden) {
        event.preventDefault();
        event.stopPropagation();
        rest();
      }
    });
    return {
      node: el('div', { class: 'optim-combo' }, input, el('span', { class: 'optim-combo-arrow', 'aria-hidden': 'true' }), list),
      input,
      setOptions: (next) => {
        options = next;
        if (document.activeElement !== input) rest();
      },
      get: () => value,
      set: (next) => {
        value = next;
        if (document.activeElement !== input) rest();
      },
    };
  };

  // A card with a title; `open` undefined means that it does not fold. The summary shows while it is closed.
  optim.section = ({ id, title, open, extra }, ...children) => {
    const body = el('div', { class: 'optim-section-body' }, ...children);
    if (open === undefined) {
      const head = el('div', { class: 'optim-section-head' }, el('span', { class: 'optim-title', text: title }), extra || null);
      return { node: el('section', { id, class: 'optim-card' }, head, body), body, summary: () => {}, open: () => {} };
    }
    const hint = el('span', { class: 'optim-summary' });
    const details = el('details', { id, class: 'optim-card optim-fold' },
      el('summary', { class: 'optim-section-head' }, el('span', { class: 'optim-title', text: title }), hint), body);
    details.open = optim.recall(`fold_${id}`, open);
    details.addEventListener('toggle', () => optim.remember(`fold_${id}`, details.open));
    return {
      node: details,
      body,
      summary: (text) => {
        optim.setText(hint, text);
        hint.title = text;
      },
      open: () => {
        details.open = true;
      },
    };
  };

  optim.field = (label, control, help) =>
    el('label', { class: 'optim-field' }, el('span', { class: 'optim-label', text: label }), control,
      help ? el('span', { class: 'optim-help', text: help }) : null);

  optim.check = (id, label, onChange, help) => {
    const box = el('input', { type: 'checkbox', id, on: { change: () => onChange(box.checked) } });
    return { node: el('label', { class: 'optim-check', title: help }, box, el('span', { text: label })), box };
  };

  optim.button = (id, label, act, kind, title) =>
    el('button', { id, type: 'button', class: `optim-button ${kind ? `optim-${kind}` : ''}`, title, on: { click: act }, text: label });

  // Built anew at each opening; the browser keeps focus inside, closes on Escape and gives focus back.
  optim.dialog = (title, ...children) => {
    const close = optim.button(null, tr('Close'), () => box.close(), 'small');
    const box = el('dialog', { class: 'optim-dialog', 'aria-label': title },
      el('div', { class: 'optim-dialog-head' }, el('span', { class: 'optim-title', text: title }), close), ...children);
    box.addEventListener('close', () => box.remove());
    box.addEventListener('click', (event) => (event.target === box ? box.close() : null));
    // The host's own keys (lightbox, generate) must not hear what is typed here.
    box.addEventListener('keydown', (event) => event.stopPropagation());
    document.getElementById('optim_root').append(box);
    box.showModal();
    return box;
  };
})();
