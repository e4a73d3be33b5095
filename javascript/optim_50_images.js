// Images of one trial in stable slots.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  const scoreOf = (image) => (image.skipped ? 'skipped' : typeof image.value === 'number' ? optim.number(image.value) : '');

  // As many slots as a trial has images, whether they are there yet or not.
  optim.gallery = ({ id, onOpen }) => {
    const node = el('div', { class: 'optim-gallery', id });
    let slots = [];
    const slot = (i) => {
      const img = el('img', { alt: '', decoding: 'async' });
      const score = el('span', { class: 'optim-shot-score' });
      const name = el('span', { class: 'optim-shot-name' });
      const bar = el('span', { class: 'optim-shot-step' });
      const button = el('button', { type: 'button', class: 'optim-shot', on: { click: () => onOpen(i) } }, img, bar, el('span', { class: 'optim-shot-line' }, name, score));
      img.hidden = true;
      return { button, img, score, name, bar, src: '' };
    };
    return {
      node,
      // step: {image, part} of the image in the making, or null.
      draw: (folder, images, total, step) => {
        const count = Math.max(total, images.length);
        if (slots.length !== count) {
          slots = Array.from({ length: count }, (_, i) => slot(i));
          node.replaceChildren(...slots.map((s) => s.button));
          node.dataset.columns = count <= 1 ? 1 : count <= 4 ? 2 : count <= 9 ? 3 : 4;
        }
        const byIndex = new Map(images.map((image) => [image.index, image]));
        slots.forEach((s, i) => {
          const image = byIndex.get(i);
          const src = image && image.file ? optim.imageUrl(folder, image.file) : '';
          if (src !== s.src) {
            s.src = src;
            s.img.hidden = !src;
            if (src) s.img.src = src;
            else s.img.removeAttribute('src');
          }
          optim.setDisabled(s.button, !src);
          optim.setClass(s.button, 'optim-skipped-shot', image && image.skipped);
          optim.setClass(s.button, 'optim-making', step && step.image === i && !image);
          s.bar.style.width = step && step.image === i && !image ? `${Math.round(step.part * 100)}%` : '0';
          optim.setText(s.name, image ? image.payload : '');
          optim.setText(s.score, image ? scoreOf(image) : '');
          s.button.title = image ? `${image.prompt}\nseed ${image.seed}` : '';
          s.button.setAttribute('aria-label', image ? `Image ${i} of ${image.payload}` : `Image ${i}, not there yet`);
        });
      },
    };
  };
})();
