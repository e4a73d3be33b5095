// Rows of rating buttons, and what the user has said so far in this sitting, with its undo.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  // How many points the n-th button of the scale 1 to 5 is worth of the ten that are recorded.
  const FIVE = [1, 2, 3, 4, 5].map((n) => [n, (n - 1) * 2.5]);
  const TEN = Array.from({ length: 11 }, (_, n) => [n, n]);
  optim.scaleOf = (name) => (name === 'five' ? FIVE : TEN);

  // One row of buttons per rating. onRate(rating, value); hint(n): the key of a button.
  optim.ratingRows = ({ onRate, hint }) => {
    const node = el('div', { class: 'optim-rows' });
    let drawn = '';
    let rows = [];
    const build = (ratings, scale) => {
      rows = ratings.map((rating, r) => {
        const buttons = optim.scaleOf(scale).map(([n, value]) => [value, el('button', {
          type: 'button', class: 'optim-score', 'data-score': n, 'aria-pressed': 'false', text: `${n}`, title: hint(n),
          'aria-label': `${rating.name || 'Rating'}: ${n}`, on: { click: () => onRate(rating, value, r) },
        })]);
        const name = rating.name ? el('span', { class: 'optim-row-name', text: rating.name, title: rating.name }) : null;
        const box = el('div', { class: 'optim-rating', 'data-rating': rating.name, role: 'group', 'aria-label': rating.name || 'Your rating' }, name,
          el('div', { class: 'optim-scores' }, ...buttons.map(([, button]) => button)));
        box.dataset.scale = scale;
        return { rating, box, buttons };
      });
      node.replaceChildren(...rows.map((row) => row.box));
      optim.setClass(node, 'optim-rows-many', ratings.length > 1);
    };
    return {
      node,
      // valueOf(rating): its value or null; at: the row that the keys rate, or -1.
      draw: (ratings, scale, valueOf, able, pending, at) => {
        const signature = JSON.stringify([scale, ratings]);
        if (signature !== drawn) {
          drawn = signature;
          build(ratings, scale);
        }
        rows.forEach((row, r) => {
          const now = able ? valueOf(row.rating) : null;
          optim.setClass(row.box, 'optim-row-at', ratings.length > 1 && r === at);
          for (const [value, button] of row.buttons) {
            const on = now === value;
            button.setAttribute('aria-pressed', String(on));
            optim.setClass(button, 'optim-pending', pending && on);
            optim.setDisabled(button, !able);
          }
        });
      },
    };
  };

  // What the user says, shown at once: on its way or in the snapshot. Kept for undo, also over a reload.
  // source: {folder(), ratings(), image(trial, index)}.
  optim.sitting = (opinions, source) => {
    const KEPT = 200;
    let log = null;
    let owner = '';
    const lines = () => {
      if (log === null || owner !== source.folder()) {
        owner = source.folder();
        const kept = optim.recall('sitting', null);
        log = kept && kept.folder === owner && Array.isArray(kept.log) ? kept.log : [];
      }
      return log;
    };
    const keep = () => optim.remember('sitting', { folder: owner, log });
    const note = (line) => {
      lines().push(line);
      log = log.slice(-KEPT);
      keep();
    };
    const value = (trial, index, rating) => {
      const under = opinions.rating(source.folder(), trial, index, rating.name);
      if (under !== undefined) return under;
      const image = source.image(trial, index);
      return image && typeof image.scores[rating.key] === 'number' ? image.scores[rating.key] : null;
    };
    const marked = (trial, index, mark) => {
      const under = opinions.marked(source.folder(), trial, index, mark);
      if (under !== undefined) return under;
      const image = source.image(trial, index);
      return Boolean(image && (image.marks || []).includes(mark));
    };
    return {
      value,
      marked,
      // The same value again takes the rating back. Returns whether there is a rating now.
      rate: (trial, index, rating, next) => {
        const before = value(trial, index, rating);
        const now = before === next ? null : next;
        note({ trial, index, name: rating.name, before });
        opinions.rate(source.folder(), trial, index, rating.name, now);
        return now !== null;
      },
      toggle: (trial, index, mark) => {
        const on = !marked(trial, index, mark);
        note({ trial, index, mark, before: !on });
        opinions.mark(source.folder(), trial, index, mark, on);
        return on;
      },
      // Takes the last of all that back; returns which image that was, or null.
      undo: () => {
        const line = lines().pop();
        if (!line) return null;
        keep();
        if (line.mark) opinions.mark(source.folder(), line.trial, line.index, line.mark, line.before);
        else opinions.rate(source.folder(), line.trial, line.index, line.name, line.before);
        return [line.trial, line.index];
      },
      any: () => lines().length > 0,
      // Nothing more is asked of an image.
      done: (trial, index) =>
        marked(trial, index, 'broken') || marked(trial, index, 'left out') || source.ratings().every((rating) => value(trial, index, rating) !== null),
      sending: (trial, index) => opinions.sending(source.folder(), trial, index),
      recent: () => [...new Set(lines().slice(-12).map((line) => line.trial))].slice(-3),
    };
  };
})();
