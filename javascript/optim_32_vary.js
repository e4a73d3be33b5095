// What to vary: every block, four groups, one weight, a curve over depth, or the user's own lines.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el, tr } = optim;
  const modes = () => [
    ['blocks', tr('Every block'), tr('One weight for each block of the UNet, and one for the text encoder.')],
    ['groups', tr('Four groups'), tr('One weight each for text encoder, input, middle and output blocks: few numbers, quick results.')],
    ['single', tr('One weight'), tr('The same weight everywhere: the classic merge slider, searched for you.')],
    ['curve', tr('Curve'), tr('The weights of the UNet lie on a curve from its first block to its last; a few points of it are searched.')],
    ['custom', tr('Custom'), tr('Your own lines: blocks and the range to search. Blocks in no line stay as in model A.')],
  ];
  const EXAMPLE = 'BASE: 0..1\nIN00-IN05: 0.2..0.8\nM00: =0.5\nOUT*: 0..1 step 0.05';

  optim.parts.vary = (plan) => {
    const modeButtons = modes().map(([id, label, help]) =>
      el('label', { class: 'optim-segment', title: help },
        el('input', {
          type: 'radio', name: 'optim_mode', value: id, id: `optim_mode_${id}`,
          on: {
            change: () => {
              plan.form.vary.mode = id;
              if (id === 'custom' && !plan.form.vary.custom.trim()) plan.form.vary.custom = custom.value = EXAMPLE;
              plan.changed('vary');
            },
          },
        }),
        el('span', { text: label })));
    const modeHelp = el('div', { class: 'optim-help' });
    const textEncoder = optim.check('optim_text_encoder', tr('Text encoder too'), (on) => {
      plan.form.vary.text_encoder = on;
      plan.changed('vary');
    }, tr('Merge the text encoder with a weight of its own; otherwise it stays as in model A.'));
    const vae = optim.check('optim_vae', tr('VAE too'), (on) => {
      plan.form.vary.vae = on;
      plan.changed('vary');
    }, tr('Rarely wanted: merge the VAE as well.'));
    const custom = el('textarea', {
      id: 'optim_custom', class: 'optim-input optim-code', rows: 6, spellcheck: 'false', 'aria-label': tr('Blocks and ranges, one per line'),
      on: {
        input: () => {
          plan.form.vary.custom = custom.value;
          plan.changed('vary');
        },
      },
    });
    const customHelp = el('div', { class: 'optim-help' },
      tr('A line is blocks, a colon, a range: '), el('code', { text: 'IN00-IN05: 0.2..0.8' }), ', ', el('code', { text: 'OUT*: 0..1 step 0.05' }), tr('. Fixed: '),
      el('code', { text: 'M00: =0.5' }), tr('. Tied to another block: '), el('code', { text: 'OUT00: =IN05' }), tr('. The first line that names a block counts. One value for several: '),
      el('code', { text: 'detail = OUT06-OUT11: 0..1' }), tr('. On a curve: '), el('code', { text: 'depth = IN*: 0..1 curve 4' }), tr('. Single tensors, which leave their block: '), el('code', { text: '*.attn1.*: 0..0.5' }), ', ',
      el('code', { text: 'OUT03-OUT06/*attn1*: 0.3' }), tr('. A guide file works here, too.'));
    const customBox = el('div', { class: 'optim-stack' }, custom, customHelp);
    const size = el('span', { class: 'optim-note', id: 'optim_size' });
    const paste = optim.button('optim_paste_weights', tr('Paste weights …'), () => optim.pasteWeights(plan), 'small', tr('Block weights from another program, a merged checkpoint or an image'));
    const starts = optim.startChips(plan);
    const components = el('div', { class: 'optim-row' }, textEncoder.node, vae.node);
    const table = optim.blockTable(plan);
    const curve = optim.curveBox(plan, table);
    const files = optim.guideFiles(plan, table);
    const maps = optim.blockMaps(plan);
    const section = optim.section(
      { id: 'optim_vary_card', title: tr('What to vary'), extra: size },
      el('div', { class: 'optim-segments', role: 'radiogroup', 'aria-label': tr('What to vary') }, ...modeButtons), modeHelp, curve.node, components, maps.node, customBox, table.node,
      el('div', { class: 'optim-row optim-tight' }, paste, ...files.buttons), files.said, starts.node);

    return {
      sections: { vary: section },
      setSize: (text) => optim.setText(size, text),
      draw: () => {
        section.body.hidden = plan.form.method === 'layer_adjust'; // its numbers have one value in the whole model
        for (const input of document.querySelectorAll('#optim_root input[name=optim_mode]')) input.checked = input.value === plan.form.vary.mode;
        optim.setText(modeHelp, modes().find(([id]) => id === plan.form.vary.mode)[2]);
        textEncoder.box.checked = plan.form.vary.text_encoder;
        vae.box.checked = plan.form.vary.vae;
        textEncoder.node.hidden = !plan.setup.can.text_encoder;
        vae.node.hidden = !plan.setup.can.vae;
        components.hidden = plan.form.vary.mode === 'custom';
        customBox.hidden = plan.form.vary.mode !== 'custom';
        optim.assign(custom, plan.form.vary.custom);
        maps.draw();
        curve.draw();
        table.draw();
        starts.draw();
      },
    };
  };
})();
