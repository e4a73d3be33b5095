// Images of a trial in stable slots, the large view, and scoring by hand (clicks and keys).
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  const scoreOf = (image) => (image.skipped ? 'skipped' : typeof image.value === 'number' ? optim.number(image.value) : '');
  const human = (image) => (image && typeof image.scores.manual === 'number' ? image.scores.manual : null);

  // --- scoring: optimistic, idempotent, kept and sent again until the program has answered -------------------
  optim.scorer = (onChange, onError) => {
    let queue = optim.recall('pending_scores', []);
    let settled = []; // taken by the program, but not yet in a snapshot that was asked for afterwards
    let sending = false;
    const keep = () => optim.remember('pending_scores', queue);
    const send = async () => {
      if (sending) return;
      sending = true;
      try {
        while (queue.length) {
          const item = queue[0];
          try {
            await optim.post('score', { trial: item.trial, image: item.image, value: item.value, request: item.request });
          } catch (error) {
            if (error.offline || error.status >= 500) {
              setTimeout(send, 2000);
              return;
            }
            item.refused = true;
            onError(error);
          }
          if (!item.refused) settled.push({ ...item, at: performance.now() });
          queue = queue.filter((other) => other !== item);
          keep();
          onChange();
        }
      } finally {
        sending = false;
      }
    };
    return {
      put: (folder, trial, image, value) => {
        queue = queue.filter((item) => item.folder !== folder || item.trial !== trial || item.image !== image || sending);
        queue.push({ folder, trial, image, value, request: optim.requestId() });
        keep();
        onChange();
        send();
      },
      // The newest score that is still under way, or undefined.
      pending: (folder, trial, image) => [...settled, ...queue].filter((i) => i.folder === folder && i.trial === trial && i.image === image).map((i) => i.value).pop(),
      sending: (folder, trial, image) => queue.some((i) => i.folder === folder && i.trial === trial && i.image === image),
      // A snapshot asked for at time `asked` knows all that was settled before.
      seen: (asked) => {
        settled = settled.filter((item) => item.at > asked);
      },
      // Scores for a run that is gone would only be refused.
      resume: (folder) => {
        queue = queue.filter((item) => item.folder === folder);
        keep();
        send();
      },
    };
  };

  // --- a grid of images: as many slots as a trial has images, whether they are there yet or not ---------------
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

  const scoreButtons = (prefix, onScore) => {
    const buttons = Array.from({ length: 11 }, (_, n) =>
      el('button', { type: 'button', class: 'optim-score', id: prefix ? `${prefix}_${n}` : undefined, 'data-score': n, title: n === 10 ? 'Key +' : `Key ${n}`, 'aria-pressed': 'false', text: `${n}`, on: { click: () => onScore(n) } }));
    return {
      node: el('div', { class: 'optim-scores', role: 'group', 'aria-label': 'Your score' }, ...buttons),
      draw: (value, pending) => buttons.forEach((button, n) => {
        button.setAttribute('aria-pressed', String(n === value));
        optim.setClass(button, 'optim-pending', pending && n === value);
      }),
    };
  };
  optim.digitOf = (event) => (/^[0-9]$/.test(event.key) ? Number(event.key) : event.key === '+' || event.key === '=' ? 10 : null);

  // --- the panel "Your turn" -----------------------------------------------------------------------------------
  optim.rater = ({ onScore, onOpen, onSkipTrial }) => {
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
      const scores = scoreButtons(`optim_score_${i}`, (n) => score(i, n));
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

  // --- the large view ------------------------------------------------------------------------------------------
  // source(): {folder, trial, images}; rate: the panel above, or null.
  optim.openViewer = (source, start, rate) => {
    let at = start;
    const img = el('img', { class: 'optim-viewer-image', alt: '' });
    const facts = el('div', { class: 'optim-viewer-facts' });
    const prompt = el('div', { class: 'optim-viewer-prompt' });
    const scores = scoreButtons('', (n) => give(n));
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
