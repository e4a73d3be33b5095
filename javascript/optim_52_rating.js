// The panel "Your turn": the images of one trial that wait for the user's scores.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  const human = (image) => (image && typeof image.scores.manual === 'number' ? image.scores.manual : null);

  optim.rater = ({ onScore, onOpen }) => {
    const title = el('span', { class: 'optim-title' });
    const hint = el('span', { class: 'optim-note', text: 'Keys 0–9 and + for 10 · arrows move · the same score again takes it back' });
    const back = optim.button('optim_undo', 'Undo', () => undo(), 'small', 'Take back the last score (U)');
    const grid = el('div', { class: 'optim-rate-grid' });
    const node = el('section', { class: 'optim-card optim-rate', id: 'optim_rate', hidden: true },
      el('div', { class: 'optim-section-head' }, title, el('span', { class: 'optim-head-right' }, back)), hint, grid);
    let trial = null; // the trial that the slots show
    let focus = 0;
    let slots = [];
    let view = null;
    let log = [];
    let held = null; // image of `trial` whose score was taken back: stay there until it has a new one

    const slot = (i) => {
      const img = el('img', { alt: '', decoding: 'async' });
      const wait = el('span', { class: 'optim-note', text: 'coming …' });
      const button = el('button', { type: 'button', class: 'optim-shot', on: { click: () => onOpen(trial, i) } }, img, wait);
      const prompt = el('div', { class: 'optim-prompt' });
      const scores = optim.scoreButtons(`optim_score_${i}`, (n) => score(i, n));
      const box = el('div', { class: 'optim-rate-slot', 'data-image': i, on: { mousedown: () => setFocus(i) } }, button, prompt, scores.node);
      return { box, button, img, wait, prompt, scores, src: '' };
    };
    const setFocus = (i) => {
      focus = i;
      slots.forEach((s, k) => optim.setClass(s.box, 'optim-focus', k === i));
    };
    const imageAt = (i) => view && view.images.find((image) => image.index === i && !image.skipped);
    const valueAt = (i) => {
      const pending = view.pending(trial, i);
      return pending === undefined ? human(imageAt(i)) : pending;
    };
    const score = (i, n) => {
      if (!imageAt(i)) return;
      const next = valueAt(i) === n ? null : n;
      onScore(trial, i, next);
      log.push([trial, i]);
      setFocus(i);
      if (next === null) return;
      const rest = slots.map((_, k) => (i + 1 + k) % slots.length).find((k) => k !== i && view.waiting.some(([t, w]) => t === trial && w === k) && valueAt(k) === null);
      if (rest !== undefined) setFocus(rest);
    };
    const undo = () => {
      const last = log.pop();
      if (!last) return;
      trial = last[0];
      held = last[1];
      onScore(last[0], last[1], null);
      setFocus(last[1]);
    };
    return {
      node,
      trial: () => trial,
      // view: {manual, active, folder, total, waiting: [[trial, image]], imagesOf(trial), pending(trial, image)}
      draw: (next) => {
        if (!next.manual || !next.active) {
          optim.show(node, false);
          trial = null;
          held = null;
          log = [];
          return;
        }
        optim.show(node, true);
        const open = next.waiting.filter(([t, i]) => typeof next.pending(t, i) !== 'number');
        if (held !== null && typeof next.pending(trial, held) === 'number') held = null;
        if (held === null && !open.some(([t]) => t === trial) && open.length && open[0][0] !== trial) {
          trial = open[0][0];
          focus = open[0][1];
        }
        view = { ...next, images: trial === null ? [] : next.imagesOf(trial) };
        if (slots.length !== next.total) {
          slots = Array.from({ length: next.total }, (_, i) => slot(i));
          grid.replaceChildren(...slots.map((s) => s.box));
          grid.dataset.columns = next.total <= 2 || next.total === 4 ? 2 : 3;
        }
        const left = open.length;
        optim.setText(title, left ? `Your turn: ${optim.plural(left, 'image')} to score${trial === null ? '' : ` · trial ${trial}`}` : 'Nothing to score right now; the next images are on their way');
        optim.setClass(node, 'optim-attention', left);
        optim.setDisabled(back, !log.length);
        slots.forEach((s, i) => {
          const image = imageAt(i);
          const src = image ? optim.imageUrl(next.folder, image.file) : '';
          if (src !== s.src) {
            s.src = src;
            if (src) s.img.src = src;
            else s.img.removeAttribute('src');
          }
          s.img.hidden = !src;
          s.wait.hidden = Boolean(src);
          optim.setDisabled(s.button, !src);
          optim.setText(s.prompt, image ? image.prompt || image.payload : '');
          s.prompt.title = image ? image.prompt : '';
          s.scores.draw(image ? valueAt(i) : null, next.sending(trial, i));
          optim.setClass(s.box, 'optim-empty-slot', !image);
        });
        setFocus(Math.min(focus, slots.length - 1));
      },
      key: (event) => {
        if (node.hidden || trial === null) return false;
        const digit = optim.digitOf(event);
        if (digit !== null) score(focus, digit);
        else if (event.key === 'ArrowRight' || event.key === 'ArrowLeft') setFocus((focus + (event.key === 'ArrowRight' ? 1 : slots.length - 1)) % slots.length);
        else if (event.key === 'u' || event.key === 'U' || event.key === 'Backspace') undo();
        else if (event.key === ' ' && imageAt(focus)) onOpen(trial, focus);
        else return false;
        return true;
      },
      score: (t, i, n) => (t === trial ? score(i, n) : null),
      canScore: (t) => !node.hidden && t === trial,
      value: (i) => (view ? valueAt(i) : null),
    };
  };
})();
