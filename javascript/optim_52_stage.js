// The pictures of the rating panel: one large, the best so far beside it on demand, and three small ones.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  const show = (img, src) => {
    if ((img.getAttribute('src') || '') === src) return;
    img.hidden = !src;
    if (src) img.src = src;
    else img.removeAttribute('src');
  };

  const pane = (id, caption) => {
    const img = el('img', { alt: '', decoding: 'sync', draggable: 'false' });
    const wait = el('span', { class: 'optim-pane-wait' });
    const stamp = el('span', { class: 'optim-stamp', hidden: true });
    const text = el('figcaption', { class: 'optim-pane-text', text: caption });
    img.hidden = true;
    const node = el('figure', { class: 'optim-pane', id }, img, wait, stamp, text);
    return {
      node,
      text,
      draw: (src, alt, waiting, mark) => {
        show(img, src);
        img.alt = alt;
        optim.setText(wait, src ? '' : waiting);
        optim.setText(stamp, mark);
        optim.show(stamp, mark);
      },
    };
  };

  const thumb = (id, label, act) => {
    const img = el('img', { alt: '', decoding: 'async', draggable: 'false' });
    img.hidden = true;
    const tick = el('span', { class: 'optim-thumb-tick', 'aria-hidden': 'true' });
    const button = el('button', { type: 'button', class: 'optim-thumb', id, disabled: true, on: { click: act } }, el('span', { class: 'optim-thumb-image' }, img, tick), el('span', { class: 'optim-thumb-name', text: label }));
    return {
      node: button,
      draw: (src, title, done) => {
        show(img, src);
        optim.setDisabled(button, !src);
        button.title = title;
        optim.setText(tick, src && done ? '✓' : '');
      },
    };
  };

  optim.ratingStage = ({ onMove, onCompare, onFull }) => {
    const main = pane('optim_rate_image', 'This one');
    const best = pane('optim_rate_best', 'Best so far');
    const small = { best: thumb('optim_rate_small_best', 'Best so far', onCompare), previous: thumb('optim_rate_previous', 'Previous', () => onMove(-1)), next: thumb('optim_rate_next', 'Next', () => onMove(1)) };
    const panes = el('div', { class: 'optim-panes' }, best.node, main.node);
    const node = el('div', { class: 'optim-stage' }, panes, el('div', { class: 'optim-side' }, small.best.node, small.previous.node, small.next.node));
    main.node.addEventListener('dblclick', onFull);

    // A swipe moves; a scroll or a pinch does not.
    let from = null;
    panes.addEventListener('touchstart', (event) => {
      from = event.touches.length === 1 ? [event.touches[0].clientX, event.touches[0].clientY] : null;
    }, { passive: true });
    panes.addEventListener('touchend', (event) => {
      if (!from || event.touches.length) return;
      const dx = event.changedTouches[0].clientX - from[0];
      const dy = event.changedTouches[0].clientY - from[1];
      from = null;
      if (Math.abs(dx) > 50 && Math.abs(dx) > 2 * Math.abs(dy)) onMove(dx < 0 ? 1 : -1);
    }, { passive: true });

    // What comes next lies decoded in memory, so that it stands there at once.
    let ready = new Map();
    const preload = (sources) => {
      ready = new Map(sources.map((src) => {
        if (ready.has(src)) return [src, ready.get(src)];
        const img = new Image();
        img.src = src;
        if (img.decode) img.decode().catch(() => {});
        return [src, img];
      }));
    };
    return {
      node,
      // view: {main, best, previous, next: {src, alt, done} or null; waiting, mark, compare, ahead: [src]}
      draw: (view) => {
        const { main: now, best: champion } = view;
        main.draw(now ? now.src : '', now ? now.alt : '', view.waiting, view.mark);
        best.draw(champion ? champion.src : '', champion ? champion.alt : '', 'No trial is scored yet.', '');
        optim.show(best.node, view.compare);
        optim.setClass(panes, 'optim-comparing', view.compare);
        for (const name of ['best', 'previous', 'next']) small[name].draw(view[name] ? view[name].src : '', view[name] ? view[name].alt : '', view[name] && view[name].done);
        preload([...new Set(view.ahead)]);
      },
    };
  };
})();
