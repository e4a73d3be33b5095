// The rating panel: one image large, what the user says of it, and every key also as a button.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;
  const PAUSED = ['paused', 'pausing'];

  optim.finishDialog = (onCommand) => {
    const sure = optim.button('optim_rate_finish_yes', 'Finish the run', () => {
      box.close();
      onCommand('finish');
    }, 'primary');
    const box = optim.dialog('Finish early?', el('div', { class: 'optim-stack' },
      el('div', { text: 'The trial under way is the last one. When all images made so far are judged, the run ends and the best merge is saved. You can resume it later.' }),
      el('div', { class: 'optim-row' }, sure, optim.button(null, 'Go on judging', () => box.close()))));
  };

  // judge: optim.sitting; onCommand(name); onDraw(): draw all anew.
  optim.rater = ({ judge, onCommand, onDraw }) => {
    const map = optim.keyMap();
    const settings = {
      get: (name) => optim.recall(`rating_${name}`, { scale: 'ten', blind: true }[name]),
      set: (name, value) => {
        optim.remember(`rating_${name}`, value);
        onDraw();
      },
    };
    let view = null;
    let at = null; // [trial, image] that is shown large
    let row = 0; // the rating that the keys give
    let follow = true; // go to the next open image once the one shown is done
    let full = false;
    let compare = false;

    // --- what is there to rate --------------------------------------------------------------------------------
    const same = (a, b) => a && b && a[0] === b[0] && a[1] === b[1];
    const imageAt = (item) => (item && view ? view.imagesOf(item[0]).find((image) => image.index === item[1] && image.file && !image.skipped) || null : null);
    const failed = (trial) => view.imagesOf(trial).some((image) => judge.marked(trial, image.index, 'broken'));
    const openItems = () => view.waiting.filter(([trial, i]) => imageAt([trial, i]) && !judge.done(trial, i) && !failed(trial));
    const trials = () => {
      const wanted = [...judge.recent(), ...(view ? view.waiting.map(([trial]) => trial) : []), ...(at ? [at[0]] : [])];
      return [...new Set(wanted)].sort((a, b) => a - b);
    };
    const items = () => trials().flatMap((trial) => view.imagesOf(trial).filter((image) => image.file && !image.skipped).map((image) => [trial, image.index]));
    const go = (item) => {
      if (!same(item, at)) row = 0;
      at = item;
    };
    const advance = () => {
      const open = openItems();
      const after = open.find(([t, i]) => at && (t > at[0] || (t === at[0] && i > at[1])));
      if (after || open.length) go(after || open[0]);
      follow = true;
    };

    // --- what the user does -----------------------------------------------------------------------------------
    const rate = (rating, value, r) => {
      if (!imageAt(at)) return;
      row = r;
      if (judge.rate(at[0], at[1], rating, value)) {
        const left = view.ratings.findIndex((other) => judge.value(at[0], at[1], other) === null);
        if (left >= 0) row = left;
        else advance();
      }
      onDraw();
    };
    const mark = (name) => {
      if (!imageAt(at)) return;
      if (judge.toggle(at[0], at[1], name)) advance();
      onDraw();
    };
    const undo = () => {
      const item = judge.undo();
      if (!item) return;
      go(item);
      follow = false;
      onDraw();
    };
    const move = (by) => {
      const all = items();
      const here = all.findIndex((item) => same(item, at));
      const next = all[here + by];
      if (!next) return;
      go(next);
      follow = false;
      onDraw();
    };
    const turn = (by) => {
      row = (row + by + view.ratings.length) % view.ratings.length;
      onDraw();
    };
    const setFull = (on) => {
      full = on;
      onDraw();
    };
    const setCompare = (on) => {
      compare = on;
      onDraw();
    };
    const blind = () => settings.get('blind');
    const finish = () => (view.finishing ? null : optim.finishDialog(onCommand));
    const help = () => optim.keyDialog(map, settings, onDraw);
    const acts = {
      previous: () => move(-1), next: () => move(1), row_up: () => turn(-1), row_down: () => turn(1),
      skip: () => mark('left out'), broken: () => mark('broken'), undo,
      full: () => setFull(!full), compare: () => setCompare(!compare), reveal: () => settings.set('blind', !blind()),
      pause: () => onCommand(PAUSED.includes(view.state) ? 'go_on' : 'pause'),
      auto: () => (view.handedOver || view.canHandOver ? onCommand(view.handedOver ? 'take_back' : 'hand_over') : null),
      finish, help,
    };
    const rateKey = (n) => {
      const step = optim.scaleOf(settings.get('scale')).find(([points]) => points === n);
      if (step && view.ratings[row]) rate(view.ratings[row], step[1], row);
    };

    // --- parts ------------------------------------------------------------------------------------------------
    const title = el('span', { class: 'optim-title', role: 'status' });
    const unsent = el('span', { class: 'optim-note optim-warning' });
    const reveal = optim.check('optim_rate_reveal', 'Show scores', (on) => settings.set('blind', !on), 'Off: nothing but the image tells you what it is');
    const stage = optim.ratingStage({ onMove: move, onCompare: () => setCompare(!compare), onFull: () => setFull(!full) });
    const facts = el('div', { class: 'optim-rate-facts' });
    const prompt = el('div', { class: 'optim-prompt optim-rate-prompt' });
    const rows = optim.ratingRows({ onRate: rate, hint: (n) => `Key ${map.of(`rate_${n}`).map(optim.keyName).join(' or ')}` });
    const secrets = el('div', { class: 'optim-rate-secrets', id: 'optim_rate_secrets', hidden: true });
    const buttons = {};
    const act = (id, label, hint, kind) => {
      const key = el('kbd', { 'aria-hidden': 'true' });
      const text = el('span', { text: label });
      buttons[id] = { text, key, hint, node: el('button', { type: 'button', id: `optim_rate_${id}`, class: `optim-button optim-small ${kind || ''}`, on: { click: acts[id] } }, text, key) };
      return buttons[id].node;
    };
    const actions = el('div', { class: 'optim-rate-actions' },
      act('undo', 'Undo', 'Take back the last thing you said'), act('skip', 'Skip', 'This image does not count'),
      act('broken', 'Broken', 'The image is broken: its trial fails', 'optim-danger'), act('compare', 'Compare', 'The best so far beside it'),
      act('full', 'Full view', 'As large as the window'), el('span', { class: 'optim-rate-gap' }),
      act('pause', 'Pause', 'Your own model is put back meanwhile; you can go on rating'), act('auto', 'Hand over', ''),
      act('finish', 'Finish', 'End the run early, with this trial'), act('help', 'Keys', 'All keys, and how to change them'));
    const node = el('section', { class: 'optim-card optim-rate', id: 'optim_rate', hidden: true, 'aria-label': 'Rating' },
      el('div', { class: 'optim-section-head' }, title, unsent, el('span', { class: 'optim-head-right' }, reveal.node)),
      stage.node, facts, prompt, rows.node, actions, secrets);
    // A click leaves the focus where it is, so that Space means full view and not the button once more.
    node.addEventListener('mousedown', (event) => (event.target.closest('button') ? event.preventDefault() : null));

    // --- drawing ----------------------------------------------------------------------------------------------
    const srcOf = (image) => optim.imageUrl(view.folder, image.file);
    const small = (item) => {
      const image = imageAt(item);
      return image && { src: srcOf(image), alt: `${image.payload}, seed ${image.seed}`, done: judge.done(item[0], item[1]) };
    };
    const champion = (image) => {
      if (view.best === null || !image) return null;
      const all = view.imagesOf(view.best).filter((other) => other.file && !other.skipped);
      const like = all.find((other) => other.payload === image.payload && other.seed === image.seed) || all.find((other) => other.payload === image.payload);
      return like ? { src: srcOf(like), alt: `Best so far, trial ${view.best}: ${like.payload}, seed ${like.seed}`, done: false } : null;
    };
    const headline = (open) => {
      if (view.handedOver) return 'Handed over: the automatic judges decide';
      if (!open.length) return 'Nothing to rate right now; the next images are on their way';
      const some = open.filter(([trial]) => at && trial === at[0]).length;
      return `${open.length} to rate${at ? ` · trial ${at[0]}` : ''}${some && some < open.length ? ` (${some} here)` : ''}`;
    };
    const tell = (image) => {
      const trial = view.trials.get(at[0]);
      const automatic = Object.entries(image.scores).filter(([key]) => !view.ratings.some((rating) => rating.key === key));
      const values = trial ? Object.entries(trial.drawn || trial.values) : [];
      const number = (value) => (typeof value === 'number' ? optim.number(value) : String(value));
      return [
        ['Judges', automatic.map(([key, value]) => `${key} ${number(value)}`).join(' · ') || 'none so far'],
        ['Where it comes from', trial ? optim.originText(trial.origin) : ''],
        ['Values', values.map(([name, value]) => `${name} ${number(value)}`).join(' · ')],
      ];
    };
    const drawButtons = (image) => {
      const says = (id, text, hint) => {
        optim.setText(buttons[id].text, text);
        buttons[id].hint = hint || buttons[id].hint;
      };
      const paused = PAUSED.includes(view.state);
      const left = Boolean(image) && judge.marked(at[0], at[1], 'left out');
      const bad = Boolean(image) && judge.marked(at[0], at[1], 'broken');
      says('pause', paused ? 'Continue' : 'Pause');
      says('skip', left ? 'Count it' : 'Skip');
      says('broken', bad ? 'Not broken' : 'Broken');
      says('full', full ? 'Leave' : 'Full view');
      says('auto', view.handedOver ? 'Take back' : 'Hand over', view.handedOver
        ? 'Rate the images yourself again'
        : view.canHandOver ? 'The automatic judges decide from here on, until you take back' : 'Only your own eyes judge this run: choose an automatic judge beside them to hand over to');
      says('finish', view.finishing ? 'Finishing' : 'Finish');
      for (const [id, button] of Object.entries(buttons)) {
        optim.setText(button.key, map.of(id).slice(0, 1).map(optim.keyName).join(''));
        button.node.title = button.hint;
      }
      optim.setDisabled(buttons.undo.node, !judge.any());
      optim.setDisabled(buttons.skip.node, !image);
      optim.setDisabled(buttons.broken.node, !image);
      optim.setDisabled(buttons.full.node, !image);
      buttons.compare.node.setAttribute('aria-pressed', String(compare));
      buttons.skip.node.setAttribute('aria-pressed', String(left));
      buttons.broken.node.setAttribute('aria-pressed', String(bad));
      buttons.auto.node.setAttribute('aria-pressed', String(view.handedOver));
      optim.setDisabled(buttons.auto.node, view.offline || !(view.handedOver || view.canHandOver));
      optim.setDisabled(buttons.pause.node, view.offline || !['starting', 'running', 'waiting', ...PAUSED].includes(view.state));
      optim.setDisabled(buttons.finish.node, view.offline || view.finishing);
    };
    const draw = (next) => {
      view = next;
      const shown = Boolean(next.ratings.length && next.active);
      optim.show(node, shown);
      if (!shown) {
        at = null;
        follow = true;
        full = false;
        compare = false;
      }
      optim.setClass(node, 'optim-rate-full', full);
      if (!shown) return;
      if (row >= next.ratings.length) row = 0;
      const open = openItems();
      if (follow && open.length && !open.some((item) => same(item, at))) go(open[0]);
      const image = imageAt(at);
      const all = items();
      const here = all.findIndex((item) => same(item, at));
      const name = image ? `${image.payload} · seed ${image.seed} · image ${image.index + 1} of ${next.totalOf(at[0])}` : '';
      const stamp = !image ? '' : judge.marked(at[0], at[1], 'broken') ? 'broken' : judge.marked(at[0], at[1], 'left out') ? 'does not count' : '';
      optim.setText(title, headline(open));
      optim.setClass(node, 'optim-attention', open.length);
      optim.setText(unsent, next.unsent > 1 || (next.offline && next.unsent) ? `${next.unsent} not sent yet` : '');
      reveal.box.checked = !blind();
      stage.draw({
        main: image && { src: srcOf(image), alt: name }, best: champion(image), compare, mark: stamp, waiting: 'The next image is on its way.',
        previous: here > 0 ? small(all[here - 1]) : null, next: here >= 0 && here < all.length - 1 ? small(all[here + 1]) : null,
        ahead: [...open.slice(0, 12), ...all.slice(Math.max(0, here - 2), here)].map(imageAt).filter(Boolean).map(srcOf),
      });
      optim.setText(facts, name);
      optim.setText(prompt, image ? image.prompt : '');
      prompt.title = image ? image.prompt : '';
      rows.draw(next.ratings, settings.get('scale'), (rating) => judge.value(at[0], at[1], rating), Boolean(image), Boolean(image) && judge.sending(at[0], at[1]), row);
      drawButtons(image);
      optim.show(secrets, !blind());
      if (!blind()) secrets.replaceChildren(...(image ? tell(image) : []).map(([head, text]) => el('div', {}, el('b', { text: `${head}: ` }), el('span', { text }))));
    };
    return {
      node,
      draw,
      hide: () => {
        optim.show(node, false);
        at = null;
        view = null;
        full = false;
      },
      blind: () => !node.hidden && blind(),
      trials: () => (view && !node.hidden ? trials() : []),
      key: (event) => {
        if (node.hidden) return false;
        const id = event.key === 'Escape' ? (full && 'full') || (compare && 'compare') : map.action(event);
        if (!id) return false;
        if (id.startsWith('rate_')) rateKey(Number(id.slice(5)));
        else acts[id]();
        return true;
      },
      // For the large view of any other image: its rows rate the trial again.
      settings,
      digit: (event) => {
        const id = map.action(event);
        return id && id.startsWith('rate_') ? Number(id.slice(5)) : null;
      },
    };
  };
})();
