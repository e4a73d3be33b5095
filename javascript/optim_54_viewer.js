// The large view of an image, with its scores; in a run that is rated by hand it can be rated anew there.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  // source(): {folder, trial, images, ratings}, ratings empty where nothing can be rated; judge: optim.sitting;
  // rater: the panel, for its keys, its scale and whether scores are hidden.
  // actions(): what else can be done, given {folder, trial, file} of the picture in view.
  optim.openViewer = (source, start, judge, rater, actions) => {
    let at = start;
    let row = 0;
    const images = () => source().images.filter((image) => image.file);
    const img = el('img', { class: 'optim-viewer-image', alt: '' });
    const facts = el('div', { class: 'optim-viewer-facts' });
    const prompt = el('div', { class: 'optim-viewer-prompt' });
    const rows = optim.ratingRows({ onRate: (rating, value, r) => give(rating, value, r), hint: () => '' });
    const previous = optim.button('optim_viewer_previous', '‹', () => move(-1), 'arrow', 'Previous image (arrow left)');
    const next = optim.button('optim_viewer_next', '›', () => move(1), 'arrow', 'Next image (arrow right)');
    const box = optim.dialog(`Trial ${source().trial}`, el('div', { class: 'optim-viewer-stage' }, previous, img, next), facts, prompt, rows.node,
      actions(() => ({ folder: source().folder, trial: source().trial, file: (images().find((i) => i.index === at) || {}).file }), () => box.close()));
    box.classList.add('optim-viewer');
    const draw = () => {
      const { folder, trial, ratings } = source();
      const image = images().find((i) => i.index === at);
      if (!image) return;
      const src = optim.imageUrl(folder, image.file);
      if (img.getAttribute('src') !== src) img.src = src;
      const each = rater.blind() ? [] : Object.entries(image.scores).map(([name, value]) => `${name} ${optim.number(value)}`);
      optim.setText(facts, [`${image.payload}, seed ${image.seed}`, image.skipped ? 'skipped' : '', ...(image.marks || []), ...each, each.length > 1 && typeof image.value === 'number' ? `together ${optim.number(image.value)}` : ''].filter(Boolean).join('  ·  '));
      optim.setText(prompt, image.prompt);
      const able = ratings.length > 0 && !image.skipped;
      optim.show(rows.node, able);
      if (able) rows.draw(ratings, rater.settings.get('scale'), (rating) => judge.value(trial, at, rating), true, judge.sending(trial, at), row);
      optim.show(previous, images().length > 1);
      optim.show(next, images().length > 1);
    };
    const move = (by) => {
      const order = images().map((i) => i.index);
      at = order[(order.indexOf(at) + by + order.length) % order.length];
      draw();
    };
    const give = (rating, value, r) => {
      const { trial, ratings } = source();
      row = r;
      if (judge.rate(trial, at, rating, value)) row = (r + 1) % ratings.length;
      draw();
    };
    box.addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      const { ratings } = source();
      const digit = rater.digit(event);
      const step = digit === null ? null : optim.scaleOf(rater.settings.get('scale')).find(([points]) => points === digit);
      if (event.key === 'ArrowRight' || event.key === 'ArrowLeft') move(event.key === 'ArrowRight' ? 1 : -1);
      else if (step && ratings.length && images().some((i) => i.index === at && !i.skipped)) give(ratings[row], step[1], row);
      else return;
      event.preventDefault();
    });
    img.addEventListener('click', () => box.close());
    draw();
    img.tabIndex = -1;
    return { box, draw };
  };
})();
