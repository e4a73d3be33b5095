// Every trial of the run with its pictures: sorted, filtered, compared. What is shown stays where it is while the run goes
// on; what is new waits for a click. Pictures are asked for when their tile comes into view.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;
  const AT_ONCE = 40; // trials per request for pictures
  const PLAIN = { state: 'all', pass: '', least: null, text: '', order: 'best' };

  const options = (select, rows, value) => {
    const signature = JSON.stringify(rows);
    if (select.dataset.rows !== signature) {
      select.dataset.rows = signature;
      select.replaceChildren(...rows.map(([key, text]) => el('option', { value: key, text })));
    }
    select.value = rows.some(([key]) => key === value) ? value : rows[0][0];
    return select.value;
  };

  // onOpen(number, index), onCompare(a, b), onFail(error)
  optim.trialsCard = ({ onOpen, onCompare, onFail }) => {
    let data = null;
    let order = [];
    let pair = [];
    let only = null;
    let payload = '';
    let ask = { ...PLAIN, ...optim.recall('trials_order', {}) };
    const tiles = new Map();
    const images = new Map(); // number to {state, list}
    const wanted = new Set();
    const inView = new Set();
    let timer = 0;
    const control = (id, label, node) => {
      node.id = `optim_trials_${id}`;
      node.setAttribute('aria-label', label);
      node.title = label;
      node.classList.add('optim-input', 'optim-small-select');
      return node;
    };
    const set = (change) => {
      ask = { ...ask, ...change };
      optim.remember('trials_order', { order: ask.order });
      arrange();
    };
    const sort = control('order', 'Order', el('select', { on: { change: () => set({ order: sort.value }) } }));
    const state = control('state', 'State', el('select', { on: { change: () => set({ state: state.value }) } }));
    const pass = control('pass', 'Pass', el('select', { on: { change: () => set({ pass: pass.value }) } }));
    const shownOf = control('payload', 'Pictures', el('select', { on: { change: () => {
      payload = shownOf.value;
      for (const number of tiles.keys()) picture(number);
    } } }));
    const least = control('least', 'At least this score', el('input', { type: 'number', step: 'any', placeholder: 'score from', on: { input: () => set({ least: least.value === '' ? null : Number(least.value) }) } }));
    const text = control('text', 'Search: number, where it comes from, recipe, reason', el('input', { type: 'search', placeholder: 'Search', on: { input: () => set({ text: text.value }) } }));
    const count = el('span', { class: 'optim-note', id: 'optim_trials_count', role: 'status' });
    const lines = optim.button('optim_trials_only', '', () => {
      only = null;
      arrange();
    }, 'small', 'Show the others again');
    const fresh = optim.button('optim_trials_new', '', () => {
      arrange();
      grid.scrollTop = 0;
    }, 'small', 'Put the list in order again');
    const compare = optim.button('optim_trials_compare', 'Compare', () => {
      const [a, b] = both();
      onCompare(a, b);
    }, 'small', 'Two trials side by side, and what differs between them');
    const clear = optim.button('optim_trials_clear', '×', () => {
      pair = [];
      marks();
    }, 'small', 'Compare none of them');
    const none = el('div', { class: 'optim-help optim-tiles-none', id: 'optim_trials_none' });
    const grid = el('div', { class: 'optim-tiles', id: 'optim_trials_grid', role: 'list', 'aria-label': 'Trials', on: { keydown: (event) => walk(event) } });
    const card = optim.section({ id: 'optim_trials_card', title: 'Trials', open: false },
      el('div', { class: 'optim-trials-bar' }, sort, state, pass, shownOf, least, text),
      el('div', { class: 'optim-trials-bar optim-trials-about' }, count, lines, fresh, el('span', { class: 'optim-head-right' }, compare, clear)),
      el('div', { class: 'optim-tiles-box' }, grid, none));
    const opened = () => card.node.open;
    card.node.addEventListener('toggle', () => {
      if (opened()) arrange();
    });

    // --- pictures -------------------------------------------------------------------------------------------------
    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        const number = Number(entry.target.dataset.trial);
        if (entry.isIntersecting) inView.add(number);
        else inView.delete(number);
        if (entry.isIntersecting) need(number);
      }
    }, { root: grid, rootMargin: '400px 0px' });
    const need = (number) => {
      const trial = data && data.trials.get(number);
      const has = images.get(number);
      if (!trial || (has && has.trial === trial)) return;
      wanted.add(number);
      if (!timer) timer = setTimeout(fetchSome, 60);
    };
    const fetchSome = async () => {
      const { folder } = data;
      const numbers = [...wanted].filter((n) => inView.has(n)).slice(0, AT_ONCE);
      wanted.clear();
      if (numbers.length && opened()) {
        try {
          await fetchThese(folder, numbers);
        } catch (error) {
          if (!error.offline) onFail(error);
        }
      }
      timer = 0;
      if ([...inView].some((n) => !images.has(n) && data.trials.has(n))) for (const n of inView) need(n);
    };
    const fetchThese = async (folder, numbers) => {
      const before = new Map(numbers.map((n) => [n, data.trials.get(n)]));
      const found = (await optim.get(`images?trials=${numbers.join(',')}`)).images;
      if (data.folder !== folder) return;
      for (const n of numbers) images.set(n, { trial: before.get(n), list: found[String(n)] || [] });
      for (const n of numbers) picture(n);
      offer();
    };
    const picture = (number) => {
      const tile = tiles.get(number);
      const known = images.get(number);
      if (tile && known) tile.pictures(data.folder, payload ? known.list.filter((image) => image.payload === payload) : known.list);
    };

    // --- the list -------------------------------------------------------------------------------------------------
    const asked = () => ({ ...ask, lower: data.lower, only });
    const offer = () => {
      const names = new Set([...images.values()].flatMap(({ list }) => list.map((image) => image.payload)));
      payload = options(shownOf, [['', 'All pictures'], ...[...names].sort().map((name) => [name, name])], payload);
    };
    const tileOf = (number) => {
      if (!tiles.has(number)) {
        const tile = optim.trialTile(number, { onOpen: (index) => onOpen(number, index), onPick: () => put(number) });
        tiles.set(number, tile);
        seen.observe(tile.node);
        tile.pictures('', []);
      }
      return tiles.get(number);
    };
    const arrange = () => {
      if (!data || !opened()) return;
      const judges = new Set([...data.trials.values()].flatMap((t) => Object.keys(t.scores || {})));
      ask.order = options(sort, [...optim.TRIAL_ORDERS, ...[...judges].sort().map((key) => [`judge ${key}`, `Best for ${data.judgeName(key)}`])], ask.order);
      ask.state = options(state, optim.TRIAL_STATES, ask.state);
      ask.pass = options(pass, [['', 'Every pass'], ...data.passes.map((row) => [String(row.id), row.kind === 'search' ? `Pass ${row.label}${row.name ? `: ${row.name}` : ''}` : 'Verification'])], ask.pass);
      optim.show(pass, data.passes.length > 1);
      offer();
      order = optim.listedTrials([...data.trials.values()], asked());
      const focused = grid.contains(document.activeElement) ? document.activeElement : null;
      const nodes = order.map((number) => tileOf(number).node);
      if (nodes.length !== grid.children.length || nodes.some((node, i) => node !== grid.children[i])) grid.replaceChildren(...nodes);
      if (focused && grid.contains(focused)) focused.focus({ preventScroll: true });
      paint();
    };
    const paint = () => {
      for (const number of order) {
        const trial = data.trials.get(number);
        if (trial) tileOf(number).draw(trial, number === data.best);
      }
      for (const number of inView) need(number);
      const total = data.trials.size;
      optim.setText(count, order.length === total ? optim.plural(total, 'trial') : `${order.length} of ${optim.plural(total, 'trial')}`);
      const now = optim.listedTrials([...data.trials.values()], asked());
      const there = new Set(order);
      const more = now.filter((number) => !there.has(number)).length;
      optim.setText(fresh, more ? `Show ${more} new` : 'Sort again');
      fresh.style.visibility = more || now.some((number, i) => number !== order[i]) ? 'visible' : 'hidden';
      optim.setText(lines, only ? `${only.size} chosen by the lines ×` : '');
      optim.show(lines, only);
      optim.setText(none, order.length ? '' : total ? 'No trial fits; take something away from the filters.' : 'Trials appear here.');
      marks();
    };
    // One that is put up alone is compared with the best.
    const both = () => (pair.length === 2 ? pair : pair.length && data && data.best !== null && data.best !== pair[0] ? [pair[0], data.best] : null);
    const put = (number) => {
      pair = pair.includes(number) ? pair.filter((n) => n !== number) : [...pair, number].slice(-2);
      marks();
    };
    const marks = () => {
      for (const [number, tile] of tiles) tile.picked(pair.includes(number));
      const two = both();
      optim.setText(compare, two ? `Compare ${two[0]} with ${pair.length === 2 ? two[1] : `the best (${two[1]})`}` : 'Compare');
      compare.title = two ? 'Side by side, with what differs between them' : 'Click ⇄ on one or two trials first';
      optim.setDisabled(compare, !two);
      clear.style.visibility = pair.length ? 'visible' : 'hidden';
    };
    const walk = (event) => {
      if (!event.target.classList.contains('optim-tile-open') || event.ctrlKey || event.altKey || event.metaKey) return;
      const nodes = [...grid.children];
      const at = nodes.indexOf(event.target.closest('.optim-tile'));
      const columns = nodes.filter((node) => node.offsetTop === nodes[0].offsetTop).length;
      const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
      if (!by || !nodes[at + by]) return;
      event.preventDefault();
      event.stopPropagation();
      nodes[at + by].querySelector('.optim-tile-open').focus();
    };
    const forget = () => {
      for (const tile of tiles.values()) seen.unobserve(tile.node);
      for (const kept of [tiles, images, wanted, inView]) kept.clear();
      [order, pair, only, payload] = [[], [], null, ''];
      grid.replaceChildren();
    };
    return {
      node: card.node,
      // next: {folder, key, trials: Map, passes, best, lower: [judges], judgeName(key)}
      draw: (next) => {
        if (data && data.key !== next.key) forget();
        data = next;
        card.summary(optim.plural(next.trials.size, 'trial'));
        if (!opened()) return;
        // The list grows by itself only at its end, where nothing moves for it.
        const now = optim.listedTrials([...next.trials.values()], asked());
        const grows = now.length !== order.length && order.every((number, i) => now[i] === number);
        if (!grid.children.length || grows) arrange();
        else paint();
      },
      images: (number) => (images.has(number) ? images.get(number).list : []),
      fetch: (numbers) => fetchThese(data.folder, numbers),
      // Only these trials, or (null) all.
      only: (numbers) => {
        only = numbers ? new Set(numbers) : null;
        if (numbers) card.open();
        arrange();
      },
    };
  };
})();
