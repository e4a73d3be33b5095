// Steps back and forth through what was varied, and which component the block table shows.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;
  const MOST = 100;
  const COMPONENTS = [['', 'All'], ['unet', 'UNet'], ['text_encoder', 'Text encoder'], ['vae', 'VAE']];

  // did(before): a change was made, `before` is what plan.form.vary was, as JSON.
  optim.tableSteps = (plan) => {
    let past = [];
    let future = [];
    const now = () => JSON.stringify(plan.form.vary);
    const go = (from, to) => {
      if (!from.length) return;
      to.push(now());
      plan.form.vary = JSON.parse(from.pop());
      plan.changed('vary');
      draw();
    };
    const undo = optim.button('optim_blocks_undo', '↶ Undo', () => go(past, future), 'small', 'The last change of this table (Ctrl+Z)');
    const redo = optim.button('optim_blocks_redo', '↷ Redo', () => go(future, past), 'small', 'What was undone (Ctrl+Y)');
    const draw = () => {
      optim.setDisabled(undo, !past.length);
      optim.setDisabled(redo, !future.length);
    };
    draw();
    // What is being typed is undone by the browser: only a field that stands as it was drawn lets the keys through.
    const keys = (event) => {
      const key = event.key.toLowerCase();
      if (!(event.ctrlKey || event.metaKey) || event.altKey || !['z', 'y'].includes(key)) return;
      if (event.target.tagName === 'INPUT' && event.target.value !== event.target.defaultValue) return;
      event.preventDefault();
      event.stopPropagation();
      event.currentTarget.querySelector('summary').focus(); // the row that has the focus is drawn anew
      (key === 'y' || event.shiftKey ? redo : undo).click();
    };
    return {
      node: el('div', { class: 'optim-row optim-tight' }, undo, redo),
      keys,
      before: now,
      did: (before) => {
        if (before === now()) return;
        past = [...past, before].slice(-MOST);
        future = [];
        draw();
      },
    };
  };

  // One tab per component that has rows; act(component) with '' for all.
  optim.componentTabs = (act) => {
    let chosen = '';
    const node = el('div', { class: 'optim-segments', role: 'tablist', 'aria-label': 'Component', id: 'optim_blocks_components', hidden: true });
    const draw = (present) => {
      if (chosen && !present.includes(chosen)) chosen = '';
      optim.show(node, present.length > 1);
      node.replaceChildren(...COMPONENTS.filter(([id]) => !id || present.includes(id)).map(([id, title]) => el('button', {
        type: 'button', role: 'tab', class: `optim-button optim-small${id === chosen ? ' optim-primary' : ''}`, 'aria-selected': String(id === chosen), 'data-component': id, text: title,
        on: {
          click: () => {
            chosen = id;
            draw(present);
            act();
          },
        },
      })));
    };
    return { node, draw, shows: (component) => !chosen || component === chosen };
  };
})();
