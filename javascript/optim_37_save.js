// How a checkpoint is saved: the same fields for the run's winner and for one trial.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el, tr } = optim;

  // state(): the object that is edited; changed(): called after each change.
  optim.saveOptions = (prefix, state, changed) => {
    const set = (key) => (value) => {
      state()[key] = value;
      changed();
    };
    const dtype = el('select', { id: `${prefix}_dtype`, class: 'optim-input', on: { change: () => set('dtype')(dtype.value) } },
      ...['fp16', 'bf16', 'fp32'].map((text) => el('option', { value: text, text })));
    const vae = el('select', { id: `${prefix}_vae`, class: 'optim-input', on: { change: () => set('vae')(vae.value) } });
    const pruned = optim.check(`${prefix}_pruned`, tr('Pruned'), set('pruned'), tr('Leave out EMA copies and training state, which no program needs to make images. Otherwise all of model A’s file is kept.'));
    const clip = optim.check(`${prefix}_fix_clip`, tr('Repair CLIP position ids'), set('fix_clip'), tr('Where older merges broke them in model A: stored as whole numbers 0 to 76.'));
    let offered = '';
    return {
      node: el('div', { class: 'optim-stack' },
        el('div', { class: 'optim-grid2' }, optim.field(tr('Precision'), dtype), optim.field('VAE', vae)),
        el('div', { class: 'optim-row' }, pruned.node, clip.node)),
      draw: (vaes) => {
        const now = state();
        const rows = [{ path: '', title: tr('As in the merge') }, ...vaes];
        if (now.vae && !vaes.some((row) => row.path === now.vae)) rows.push({ path: now.vae, title: now.vae });
        const signature = JSON.stringify(rows);
        if (signature !== offered) {
          offered = signature;
          vae.replaceChildren(...rows.map((row) => el('option', { value: row.path, text: row.title })));
        }
        optim.assign(dtype, now.dtype);
        optim.assign(vae, now.vae || '');
        pruned.box.checked = Boolean(now.pruned);
        clip.box.checked = Boolean(now.fix_clip);
      },
    };
  };

  optim.saveSummary = (save) =>
    [save.dtype, save.pruned ? tr('pruned') : '', save.vae ? save.vae.replace(/^.*[\\/]/, '') : ''].filter(Boolean).join(', ');

  // One trial, saved in its own way.
  optim.saveDialog = (number, start, vaes, onSave) => {
    const spec = { checkpoint: true, dtype: 'fp16', pruned: false, vae: '', fix_clip: false, ...start };
    const name = el('input', { id: 'optim_save_name', type: 'text', class: 'optim-input', maxlength: 80, placeholder: tr('named after run and trial'), 'aria-label': tr('File name') });
    const options = optim.saveOptions('optim_save', () => spec, () => {});
    options.draw(vaes);
    const go = optim.button('optim_save_go', tr('Save'), () => {
      box.close();
      onSave(number, { save: spec, name: name.value.trim() });
    }, 'primary');
    const box = optim.dialog(tr('Save trial {number} as a checkpoint', { number }), el('div', { class: 'optim-stack' }, optim.field(tr('File name'), name), options.node, el('div', { class: 'optim-row' }, go)));
    box.id = 'optim_save_dialog';
    name.focus();
  };
})();
