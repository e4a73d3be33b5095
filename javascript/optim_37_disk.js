// What a run's images may take of the disk, and how they are written.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el, tr } = optim;
  const titles = () => ({ png: tr('PNG (nothing lost)'), jpeg: tr('JPEG (small)'), webp: tr('WebP (smallest)') });
  const EARLIER = { gigabytes: '', format: 'png', quality: 90 }; // what a form of an earlier version lacks

  // plan: the form; its `disk` is edited.
  optim.diskOptions = (plan) => {
    const now = () => ({ ...EARLIER, ...(plan.form.disk || {}) });
    const set = (key, value) => {
      plan.form.disk = { ...now(), [key]: value };
      plan.changed('disk');
      draw();
    };
    const room = el('input', {
      id: 'optim_disk_gigabytes', type: 'number', class: 'optim-input', min: 0, step: 'any', placeholder: tr('no limit'), title: tr('Where the images have used it up, the run pauses before the next trial'),
      on: { input: () => set('gigabytes', room.value) },
    });
    const format = el('select', {
      id: 'optim_disk_format', class: 'optim-input', 'aria-describedby': 'optim_disk_note', on: { change: () => set('format', format.value) },
    }, ...Object.entries(titles()).map(([value, text]) => el('option', { value, text })));
    const quality = el('input', {
      id: 'optim_disk_quality', type: 'number', class: 'optim-input', min: 50, max: 100, step: 1, title: tr('50 to 100: more is closer to the image, and larger'),
      on: { input: () => set('quality', quality.value) },
    });
    const level = optim.field(tr('Quality'), quality);
    const note = el('div', { id: 'optim_disk_note', class: 'optim-help', hidden: true, text: tr('Judges see each image before it is written. Where a run is resumed, or scored anew by other judges, they see the compressed file, and may score it a little differently.') });
    const draw = () => {
      const disk = now();
      optim.assign(room, disk.gigabytes ?? '');
      optim.assign(format, disk.format);
      optim.assign(quality, disk.quality);
      level.hidden = note.hidden = disk.format === 'png';
    };
    return {
      room: optim.field(tr('Disk for images, GB'), room),
      node: el('div', { class: 'optim-stack' }, el('div', { class: 'optim-grid2' }, optim.field(tr('Image files'), format), level), note),
      draw,
    };
  };
})();
