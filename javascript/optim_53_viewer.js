// The large view of an image, with its scores.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  // source(): {folder, trial, images}; rate: the panel above, or null.
  optim.openViewer = (source, start, rate) => {
    let at = start;
    const img = el('img', { class: 'optim-viewer-image', alt: '' });
    const facts = el('div', { class: 'optim-viewer-facts' });
    const prompt = el('div', { class: 'optim-viewer-prompt' });
    const scores = optim.scoreButtons('', (n) => give(n));
    const previous = optim.button('optim_viewer_previous', '‹', () => move(-1), 'arrow', 'Previous image (arrow left)');
    const next = optim.button('optim_viewer_next', '›', () => move(1), 'arrow', 'Next image (arrow right)');
    const box = optim.dialog(`Trial ${source().trial}`, el('div', { class: 'optim-viewer-stage' }, previous, img, next), facts, prompt, scores.node);
    box.classList.add('optim-viewer');
    const images = () => source().images.filter((image) => image.file);
    const draw = () => {
      const { folder, trial } = source();
      const image = images().find((i) => i.index === at);
      if (!image) return;
      const src = optim.imageUrl(folder, image.file);
      if (img.getAttribute('src') !== src) img.src = src;
      const each = Object.entries(image.scores).map(([name, value]) => `${name} ${optim.number(value)}`);
      optim.setText(facts, [`${image.payload}, seed ${image.seed}`, image.skipped ? 'skipped' : '', ...each, each.length > 1 && typeof image.value === 'number' ? `together ${optim.number(image.value)}` : ''].filter(Boolean).join('  ·  '));
      optim.setText(prompt, image.prompt);
      const able = rate && rate.canScore(trial) && !image.skipped;
      optim.show(scores.node, able);
      if (able) scores.draw(rate.value(at));
      optim.show(previous, images().length > 1);
      optim.show(next, images().length > 1);
    };
    const move = (by) => {
      const order = images().map((i) => i.index);
      at = order[(order.indexOf(at) + by + order.length) % order.length];
      draw();
    };
    const give = (n) => {
      if (rate && rate.canScore(source().trial)) rate.score(source().trial, at, n);
      draw();
    };
    box.addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      const digit = optim.digitOf(event);
      if (event.key === 'ArrowRight' || event.key === 'ArrowLeft') move(event.key === 'ArrowRight' ? 1 : -1);
      else if (digit !== null) give(digit);
      else return;
      event.preventDefault();
    });
    img.addEventListener('click', () => box.close());
    draw();
    img.tabIndex = -1;
    return { box, draw };
  };
})();
