// Block weights from elsewhere: the dialog that reads them, what is tried first, and copying a trial's weights.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;
  const HINT = 'Numbers (26, 25, 27; SDXL 20, 21, 19), names such as base:0.5,in00:1,out09:0.8, or a preset such as GRAD_V.';
  const WORDS = '"base" is the text encoder. Write "all" for every block of the UNet, which runtime-block-merge calls base.';
  const FORMS = [['classic', 'numbers, BASE first'], ['named', 'with names'], ['unet', 'UNet numbers, BASE apart']];
  const HEAD = 500000; // of a PNG or JPEG: its texts come before the picture

  const base64 = (bytes) => {
    let text = '';
    for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
    return btoa(text);
  };

  // Chips of what is tried first, for the section "What to vary".
  optim.startChips = (plan) => {
    const node = el('div', { class: 'optim-chips', id: 'optim_starts', hidden: true });
    let drawn = '';
    return {
      node,
      draw: () => {
        const starts = plan.form.start || [];
        const signature = JSON.stringify(starts.map((start) => start.name));
        if (signature === drawn) return;
        drawn = signature;
        optim.show(node, starts.length);
        node.replaceChildren(el('span', { class: 'optim-note', text: 'Tried first:' }), ...starts.map((start) =>
          el('span', { class: 'optim-chip' }, start.name, ' ', optim.button(null, '×', () => {
            plan.form.start = plan.form.start.filter((other) => other !== start);
            plan.changed('start');
          }, 'chip', `Do not try ${start.name}`))));
      },
    };
  };

  optim.pasteWeights = (plan) => {
    const text = el('textarea', { id: 'optim_weights_text', class: 'optim-input optim-code', rows: 4, spellcheck: 'false', 'aria-label': 'Block weights', placeholder: '0,0.2,0.4,…   base:.5,in00:1   GRAD_V' });
    const file = el('select', { id: 'optim_weights_file', class: 'optim-input' },
      el('option', { value: '', text: 'the text above' }), ...plan.setup.models.map((row) => el('option', { value: row.path, text: row.title })));
    const image = el('input', { id: 'optim_weights_image', type: 'file', accept: 'image/png,image/jpeg', class: 'optim-input' });
    const orders = el('div', { class: 'optim-stack', id: 'optim_weights_orders' });
    const said = el('div', { class: 'optim-stack', id: 'optim_weights_said' });
    const profile = optim.profile();
    const name = el('input', { id: 'optim_weights_name', type: 'text', class: 'optim-input', maxlength: 40, value: 'pasted', 'aria-label': 'Name' });
    const width = el('input', { id: 'optim_weights_width', type: 'number', class: 'optim-input optim-weight', min: 0.01, step: 0.05, value: 0.15, 'aria-label': 'Width' });
    let found = null;
    let order = '';
    let round = 0;
    let timer = 0;

    const use = (custom) => {
      plan.form.vary.mode = 'custom';
      plan.form.vary.custom = custom;
      plan.changed('vary');
      box.close();
    };
    const first = optim.button('optim_weights_first', 'Try it first', () => {
      const taken = new Set(plan.form.start.map((start) => start.name));
      const wanted = name.value.trim() || 'pasted';
      let called = wanted;
      for (let n = 2; taken.has(called); n += 1) called = `${wanted} ${n}`;
      plan.form.start = [...plan.form.start, { name: called, weights: found.weights }];
      plan.changed('start');
      box.close();
    }, 'primary', 'The first trial of the run; the search goes on from there');
    const around = optim.button('optim_weights_around', 'Search around it', () => use(found.around), '', 'Each block within this distance of its weight');
    const fix = optim.button('optim_weights_fix', 'Fix to it', () => use(found.fixed), '', 'Blocks that are named keep this weight, the others are searched');
    const dial = optim.button('optim_weights_try', 'Try it now', () => {
      box.close();
      plan.tryPoint({ weights: found.weights });
    }, '', 'Put them on the sliders of "Try it"');
    const actions = [first, dial, around, fix];

    const show = (result) => {
      found = result && Object.keys(result.weights).length ? result : null;
      actions.forEach((button) => optim.setDisabled(button, !found));
      const ask = result ? result.orders : [];
      orders.replaceChildren(...ask.map((row) => el('label', { class: 'optim-choice' },
        el('input', { type: 'radio', name: 'optim_weights_order', value: row.id, checked: row.id === order, on: { change: () => { order = row.id; look(); } } }),
        el('span', { class: 'optim-choice-text', text: row.title }))));
      said.replaceChildren(...(!result ? [] : [
        ...result.problems.map((sentence) => el('div', { class: 'optim-help optim-warning', text: sentence })),
        found ? el('div', { class: 'optim-note', text: `Understood as ${result.form}: ${optim.plural(Object.keys(result.weights).length, 'block')}.` }) : null,
        ...result.notes.map((sentence) => el('div', { class: 'optim-help', text: sentence })),
      ].filter(Boolean)));
      profile.draw(found ? Object.fromEntries(Object.entries(found.weights).map(([block, value]) => [`${block}_alpha`, value])) : {}, null);
    };
    const look = async () => {
      const mine = (round += 1);
      const source = image.files[0] ? { png: base64(new Uint8Array(await image.files[0].slice(0, HEAD).arrayBuffer())) }
        : file.value ? { checkpoint: file.value } : { text: text.value };
      if (source.text !== undefined && !source.text.trim()) {
        show(null);
        return;
      }
      let result;
      try {
        result = await optim.post('weights', { base: plan.form.models[0], order, width: Number(width.value), ...source });
      } catch (error) {
        result = { weights: {}, orders: [], notes: [], problems: [error.message] };
      }
      if (mine === round) show(result);
    };
    const soon = () => {
      clearTimeout(timer);
      timer = setTimeout(look, 250);
    };
    text.addEventListener('input', () => {
      file.value = '';
      image.value = '';
      order = '';
      soon();
    });
    width.addEventListener('input', soon);
    file.addEventListener('change', () => {
      image.value = '';
      order = '';
      look();
    });
    image.addEventListener('change', () => {
      file.value = '';
      order = '';
      look();
    });
    show(null);
    const box = optim.dialog('Paste block weights', el('div', { class: 'optim-stack' },
      text, el('div', { class: 'optim-help', text: `${HINT} ${WORDS}` }),
      el('div', { class: 'optim-grid2' }, optim.field('Or read a merged checkpoint', file), optim.field('Or an image made by a merge', image)),
      said, orders, profile.node,
      el('div', { class: 'optim-row' }, optim.field('Name', name), optim.field('Distance for the search', width)),
      el('div', { class: 'optim-row' }, ...actions)));
    box.id = 'optim_weights_dialog';
    text.focus();
  };

  const copy = (optim.copyText = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return;
    } catch {
      // Pages that are not https have no clipboard of that kind.
    }
    const area = el('textarea', { class: 'optim-offscreen', value: text, 'aria-hidden': 'true' });
    document.getElementById('optim_root').append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  });

  // A row under a trial's values: which form, and a button that copies.
  // `ask` gives the weights where they are not those of a trial.
  optim.copyRow = (id, trialOf, fail, ask) => {
    const form = el('select', { id: `${id}_form`, class: 'optim-input optim-small-select', 'aria-label': 'Form of the weights', on: { change: () => optim.remember('weights_form', form.value) } },
      ...FORMS.map(([value, text]) => el('option', { value, text })));
    form.value = optim.recall('weights_form', 'classic');
    if (!form.value) form.value = 'classic';
    const button = optim.button(`${id}_copy`, 'Copy weights', async () => {
      try {
        const { weights } = await (ask ? ask() : optim.post('block_weights', { trial: trialOf() }));
        const rows = Object.entries(weights);
        if (!rows.length) throw new Error('There are no block weights to copy.');
        await copy(rows.map(([parameter, forms]) => (rows.length > 1 ? `# ${parameter}\n` : '') + forms[form.value]).join('\n'));
        optim.setText(button, 'Copied');
        setTimeout(() => optim.setText(button, 'Copy weights'), 1500);
      } catch (error) {
        fail(error);
      }
    }, 'small', 'Rounded to 4 decimals; the recipe has every digit');
    return el('div', { class: 'optim-row optim-copyrow' }, form, button);
  };
})();
