// The keys of the rating panel: what each does, how the user remaps them, and the list that "?" shows.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  // [id, what it does, keys]. A digit rates; 0 is a ten, as on the keyboard it stands behind the 9.
  const RATES = [...Array.from({ length: 9 }, (_, i) => [`rate_${i + 1}`, `Rate ${i + 1}`, [`${i + 1}`]]), ['rate_10', 'Rate 10', ['0']], ['rate_0', 'Rate 0', ['-']]];
  const ACTIONS = [
    ...RATES,
    ['previous', 'Previous image', ['ArrowLeft']],
    ['next', 'Next image', ['ArrowRight']],
    ['row_up', 'Rating above', ['ArrowUp']],
    ['row_down', 'Rating below', ['ArrowDown']],
    ['skip', 'Skip: this image does not count', ['s']],
    ['broken', 'Broken: the trial fails', ['x']],
    ['undo', 'Undo', ['u', 'Backspace']],
    ['full', 'Full view', [' ']],
    ['compare', 'Compare with the best', ['b']],
    ['reveal', 'Show or hide scores and values', ['v']],
    ['pause', 'Pause, continue', ['p']],
    ['auto', 'Hand over to the automatic judges, and back', ['a']],
    ['finish', 'Finish early', ['f']],
    ['help', 'This list', ['?']],
  ];
  const WHICH = ['first', 'second', 'third', 'fourth', 'fifth', 'sixth', 'seventh', 'eighth', 'ninth'];
  optim.COMPARING_KEYS = [
    ...WHICH.map((name, i) => [`pick_${i + 1}`, `The ${name} image${i > 1 ? ' (of a grid)' : i ? ', right' : ', left'}`, [`${i + 1}`, ...(i > 1 ? [] : [i ? 'ArrowRight' : 'ArrowLeft'])]]),
    ['same', 'They are alike', ['0', '=']],
    ['broken', 'All of them are broken: their trials fail', ['x']],
    ['broken_1', 'The first is broken', ['Shift+ArrowLeft']],
    ['broken_2', 'The second is broken', ['Shift+ArrowRight']],
    ['skip', 'Skip: I cannot say', ['s']],
    ...ACTIONS.filter(([id]) => ['undo', 'full', 'reveal', 'pause', 'auto', 'finish', 'help'].includes(id)),
  ];
  const NAMES = { ' ': 'Space', ArrowLeft: '←', ArrowRight: '→', ArrowUp: '↑', ArrowDown: '↓', Escape: 'Esc' };
  const SCALES = { ten: '0 to 10', five: '1 to 5' };

  const tidy = (key) => (key.length === 1 ? key.toLowerCase() : key);
  optim.keyName = (key) => (key.startsWith('Shift+') ? `⇧ ${optim.keyName(key.slice(6))}` : NAMES[key] || (key.length === 1 ? key.toUpperCase() : key));
  // A letter or a sign is what it is with or without Shift; an arrow with it is another key, where the list has one.
  const pressedKey = (event) => (event.shiftKey && event.key.length > 1 ? `Shift+${event.key}` : tidy(event.key));

  // Kept in the browser under `store`: only what differs from the defaults.
  optim.keyMap = (actions = ACTIONS, store = 'keys') => {
    let own = optim.recall(store, {});
    const keysOf = (id) => own[id] || actions.find(([known]) => known === id)[2];
    return {
      rows: actions,
      of: keysOf,
      // The action of a key press, or null. Where digits need Shift (AZERTY), the digit row rates without it.
      action: (event) => {
        const hits = (key) => (actions.find(([id]) => keysOf(id).includes(key)) || [null])[0];
        const digit = !event.shiftKey && /^Digit\d$/.test(event.code || '') ? event.code.slice(5) : null;
        return (digit !== null && hits(digit)) || hits(pressedKey(event)) || hits(tidy(event.key));
      },
      set: (id, event) => {
        const pressed = pressedKey(event);
        own = { ...own };
        for (const [other] of actions) if (other !== id && keysOf(other).includes(pressed)) own[other] = keysOf(other).filter((k) => k !== pressed);
        own[id] = [pressed];
        optim.remember(store, own);
      },
      reset: () => {
        own = {};
        optim.remember(store, own);
      },
    };
  };

  // The list of keys, where each can be changed, and how images are rated (settings null: they are compared).
  // onChange: after any of it.
  optim.keyDialog = (map, settings, onChange) => {
    const list = el('div', { class: 'optim-keys' });
    const draw = () => {
      list.replaceChildren(...map.rows.map(([id, label]) => {
        const button = el('button', { type: 'button', class: 'optim-button optim-small optim-key', 'data-action': id, 'aria-label': `Key for: ${label}`, text: map.of(id).map(optim.keyName).join(' or ') || 'none' });
        button.addEventListener('click', () => {
          optim.setText(button, 'press a key');
          button.classList.add('optim-listening');
        });
        button.addEventListener('blur', draw1);
        button.addEventListener('keydown', (event) => {
          if (!button.classList.contains('optim-listening') || event.key === 'Tab' || ['Shift', 'Control', 'Alt', 'Meta'].includes(event.key)) return;
          event.preventDefault();
          event.stopPropagation();
          button.classList.remove('optim-listening');
          if (event.key !== 'Escape') {
            map.set(id, event);
            onChange();
          }
          draw();
          list.querySelector(`[data-action="${id}"]`).focus();
        });
        function draw1() {
          if (!button.classList.contains('optim-listening')) return;
          button.classList.remove('optim-listening');
          optim.setText(button, map.of(id).map(optim.keyName).join(' or ') || 'none');
        }
        return el('div', { class: 'optim-key-row' }, el('span', { text: label }), button);
      }));
    };
    const scaleField = () => {
      const scale = el('select', { id: 'optim_scale', class: 'optim-input', on: { change: () => settings.set('scale', scale.value) } },
        ...Object.entries(SCALES).map(([value, text]) => el('option', { value, text })));
      scale.value = settings.get('scale');
      return optim.field('Scale', scale, 'On the scale 1 to 5, the keys 1 to 5 count as 0, 2.5, 5, 7.5 and 10.');
    };
    const reset = optim.button('optim_keys_reset', 'Default keys', () => {
      map.reset();
      draw();
      onChange();
    }, 'small');
    draw();
    const again = settings ? ' The same rating again takes it back.' : '';
    const box = optim.dialog(settings ? 'Rating: keys and scale' : 'Comparing: keys', el('div', { class: 'optim-stack' },
      settings && scaleField(),
      el('div', { class: 'optim-help', text: `Click a key to change it.${again} Keys rest while you type and while this tab is not in view.` }),
      list, reset));
    box.classList.add('optim-wide');
    box.id = 'optim_keys_dialog';
    return box;
  };
})();
