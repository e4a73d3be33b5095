// The panel for comparing: two images side by side, or a grid of which one clicks the best and then the worst.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;
  const PAUSED = ['paused', 'pausing'];
  const MOST = 9;
  const KEPT = 200;

  // One picture: a click picks it, a small button calls it broken.
  const picture = (n, onPick, onBroken) => {
    const img = el('img', { alt: '', decoding: 'sync', draggable: 'false' });
    img.hidden = true;
    const stamp = el('span', { class: 'optim-stamp optim-picked', hidden: true });
    const key = el('kbd', { class: 'optim-picture-key', 'aria-hidden': 'true' });
    const button = el('button', { type: 'button', class: 'optim-picture-button', 'data-picture': n + 1, on: { click: () => onPick(n) } }, img, key, stamp);
    const broken = el('button', { type: 'button', class: 'optim-picture-broken', 'aria-label': `Picture ${n + 1} is broken`, title: 'This one is broken: its trial fails', text: '✕', on: { click: () => onBroken([n]) } });
    const node = el('figure', { class: 'optim-pane optim-picture', hidden: true }, button, broken);
    return {
      node,
      draw: (src, name, mark, able, keyText) => {
        if (src && img.getAttribute('src') !== src) img.src = src;
        img.hidden = !src;
        img.alt = name;
        button.setAttribute('aria-label', name);
        button.setAttribute('aria-pressed', String(mark === 'best'));
        optim.setText(stamp, mark);
        optim.show(stamp, mark);
        optim.setText(key, keyText);
        optim.setDisabled(button, !able);
        optim.setDisabled(broken, !able);
      },
    };
  };

  // opinions: optim.opinions; settings: those of the rating panel, for what is blind; onCommand(name); onDraw(): all anew.
  optim.comparer = ({ opinions, settings, onCommand, onDraw }) => {
    const map = optim.keyMap(optim.COMPARING_KEYS, 'keys_comparing');
    let view = null;
    let at = null; // the question that is shown
    let best = null; // which picture of a grid was clicked as the best
    let full = false;

    // --- what was said, for undo, also after a reload ----------------------------------------------------------
    const lines = () => {
      const kept = optim.recall('compared', null);
      return kept && kept.folder === view.folder && Array.isArray(kept.log) ? kept.log : [];
    };
    const keep = (log) => optim.remember('compared', { folder: view.folder, log: log.slice(-KEPT) });
    const open = () => view.comparing.questions.filter((question) => opinions.answered(view.folder, question.id) !== true);
    // A grid may gain pictures while one looks at it, but not between the two clicks.
    const held = () => at && best !== null && opinions.answered(view.folder, at.id) !== true && !view.handedOver;
    const able = () => Boolean(at && (held() || open().some((question) => question.id === at.id)));

    // --- what the user does ------------------------------------------------------------------------------------
    const say = (said) => {
      if (!able()) return;
      const shown = at.shown.map((one) => [one.trial, one.image]);
      const question = at;
      best = null;
      const request = opinions.answer(view.folder, question.id, { shown, ...said });
      keep([...lines(), { request, id: question.id }]);
      onDraw();
    };
    const pick = (n) => {
      if (!able() || n >= at.shown.length) return;
      const trial = at.shown[n].trial;
      if (at.way === 'pairs') say({ outcome: 'better', best: trial });
      else if (best === null || best === n) {
        best = best === n ? null : n;
        onDraw();
      } else say({ outcome: 'better', best: at.shown[best].trial, worst: trial });
    };
    const broken = (which) => (able() && which.every((n) => n < at.shown.length) ? say({ outcome: 'broken', broken: which.map((n) => at.shown[n].trial) }) : null);
    const undo = () => {
      if (best !== null) {
        best = null;
      } else {
        const log = lines();
        const last = log.pop();
        if (!last) return;
        keep(log);
        opinions.undoAnswer(view.folder, last.request, last.id);
      }
      onDraw();
    };
    const acts = {
      same: () => say({ outcome: 'tie' }), skip: () => say({ outcome: 'skipped' }), undo,
      broken: () => (able() ? broken(at.shown.map((_, n) => n)) : null), broken_1: () => broken([0]), broken_2: () => broken([1]),
      full: () => {
        full = !full;
        onDraw();
      },
      reveal: () => settings.set('blind', !settings.get('blind')),
      pause: () => onCommand(PAUSED.includes(view.state) ? 'go_on' : 'pause'),
      auto: () => (view.handedOver || view.canHandOver ? onCommand(view.handedOver ? 'take_back' : 'hand_over') : null),
      finish: () => (view.finishing ? null : optim.finishDialog(onCommand)),
      help: () => optim.keyDialog(map, null, onDraw),
    };

    // --- parts -------------------------------------------------------------------------------------------------
    const title = el('span', { class: 'optim-title', role: 'status' });
    const unsent = el('span', { class: 'optim-note optim-warning' });
    const reveal = optim.check('optim_compare_reveal', 'Show scores', (on) => settings.set('blind', !on), 'Off: nothing but the images tells you which is which');
    const pictures = Array.from({ length: MOST }, (_, n) => picture(n, pick, broken));
    const wait = el('div', { class: 'optim-pane-wait' });
    const panes = el('div', { class: 'optim-panes optim-pictures', id: 'optim_compare_pictures' }, ...pictures.map((one) => one.node), wait);
    const facts = el('div', { class: 'optim-compare-facts' });
    const prompt = el('div', { class: 'optim-prompt optim-rate-prompt' });
    const secrets = el('div', { class: 'optim-rate-secrets', id: 'optim_compare_secrets', hidden: true });
    const buttons = {};
    const act = (id, label, hint, kind) => {
      const key = el('kbd', { 'aria-hidden': 'true' });
      const text = el('span', { text: label });
      buttons[id] = { text, key, node: el('button', { type: 'button', id: `optim_compare_${id}`, title: hint, class: `optim-button optim-small ${kind || ''}`, on: { click: acts[id] } }, text, key) };
      return buttons[id].node;
    };
    const actions = el('div', { class: 'optim-rate-actions' },
      act('same', 'Alike', 'Neither is better'), act('undo', 'Undo', 'Take back the last thing you said'),
      act('skip', 'Skip', 'I cannot say: this question counts for nothing'),
      act('broken', 'All broken', 'All of these images are broken: their trials fail', 'optim-danger'),
      act('full', 'Full view', 'As large as the window'), el('span', { class: 'optim-rate-gap' }),
      act('pause', 'Pause', 'Your own model is put back meanwhile; you can go on comparing'), act('auto', 'Hand over', ''),
      act('finish', 'Finish', 'End the run early, with this trial'), act('help', 'Keys', 'All keys, and how to change them'));
    const node = el('section', { class: 'optim-card optim-rate optim-compare', id: 'optim_compare', hidden: true, 'aria-label': 'Comparing' },
      el('div', { class: 'optim-section-head' }, title, unsent, el('span', { class: 'optim-head-right' }, reveal.node)),
      el('div', { class: 'optim-stage optim-stage-whole' }, panes), facts, prompt, actions, secrets);
    // A click leaves the focus where it is, so that Space means full view and not the button once more.
    node.addEventListener('mousedown', (event) => (event.target.closest('button') ? event.preventDefault() : null));

    // --- drawing -----------------------------------------------------------------------------------------------
    const headline = (ready) => {
      if (view.handedOver) return 'Handed over: the automatic judges decide';
      if (!ready) return 'Nothing to compare right now; the next images are on their way';
      if (at.way === 'grid') return best === null ? 'Which is the best?' : 'And which is the worst?';
      return at.against_best ? 'Better than the best?' : 'Which is better?';
    };
    const tell = () => at.shown.map((one, n) => {
      const trial = view.trials.get(one.trial);
      return el('div', {}, el('b', { text: `${n + 1}: trial ${one.trial}` }), el('span', {
        text: trial ? ` · ${optim.originText(trial.origin)}${typeof trial.value === 'number' ? ` · value ${optim.number(trial.value)}` : ''}` : '',
      }));
    });
    let ahead = [];
    const preload = (questions) => {
      ahead = questions.flatMap((question) => question.shown).map((one) => {
        const img = new Image();
        img.src = optim.imageUrl(view.folder, one.file);
        return img;
      });
    };
    const drawButtons = (ready) => {
      const paused = PAUSED.includes(view.state);
      optim.setText(buttons.pause.text, paused ? 'Continue' : 'Pause');
      optim.setText(buttons.full.text, full ? 'Leave' : 'Full view');
      optim.setText(buttons.auto.text, view.handedOver ? 'Take back' : 'Hand over');
      optim.setText(buttons.finish.text, view.finishing ? 'Finishing' : 'Finish');
      buttons.auto.node.title = view.handedOver ? 'Compare the images yourself again'
        : view.canHandOver ? 'The automatic judges decide from here on, until you take back' : 'Only your own eyes judge this run: choose an automatic judge beside them to hand over to';
      buttons.auto.node.setAttribute('aria-pressed', String(view.handedOver));
      for (const [id, button] of Object.entries(buttons)) optim.setText(button.key, map.of(id).slice(0, 1).map(optim.keyName).join(''));
      for (const id of ['same', 'skip', 'broken', 'full']) optim.setDisabled(buttons[id].node, !ready);
      optim.setDisabled(buttons.undo.node, best === null && !lines().length);
      optim.setDisabled(buttons.auto.node, view.offline || !(view.handedOver || view.canHandOver));
      optim.setDisabled(buttons.pause.node, view.offline || !['starting', 'running', 'waiting', ...PAUSED].includes(view.state));
      optim.setDisabled(buttons.finish.node, view.offline || view.finishing);
    };
    const columnsOf = (count) => (count <= 2 ? 2 : count <= 4 ? 2 : 3);
    const draw = (next) => {
      view = next;
      const shown = Boolean(next.comparing && next.active);
      optim.show(node, shown);
      if (!shown) {
        at = null;
        best = null;
        full = false;
      }
      optim.setClass(node, 'optim-rate-full', full);
      if (!shown) return;
      const questions = open();
      const still = held() ? at : at && questions.find((question) => question.id === at.id);
      if (!still) best = null;
      // What was answered stays in its place, dimmed, until the next question is there.
      at = still || questions[0] || (at && view.handedOver ? null : at);
      const ready = able();
      optim.setText(title, headline(ready));
      optim.setClass(node, 'optim-attention', ready);
      optim.setClass(panes, 'optim-pictures-rest', !ready);
      optim.setText(unsent, next.unsent > 1 || (next.offline && next.unsent) ? `${next.unsent} not sent yet` : '');
      reveal.box.checked = !settings.get('blind');
      const count = at ? at.shown.length : 2;
      panes.style.setProperty('--optim-columns', columnsOf(count));
      optim.setText(wait, at ? '' : 'The next images are on their way.');
      pictures.forEach((one, n) => {
        const image = at && at.shown[n];
        optim.show(one.node, n < count);
        one.draw(image ? optim.imageUrl(next.folder, image.file) : '', image ? `Picture ${n + 1} of ${count}: ${at.payload}, seed ${at.seed}` : '',
          n === best ? 'best' : '', ready, image ? `${n + 1}` : '');
      });
      preload(questions.filter((question) => question !== at).slice(0, 3));
      const given = next.comparing.given;
      optim.setText(facts, at ? `${at.payload} · seed ${at.seed} · ${optim.plural(given, 'comparison')} so far${questions.length > 1 ? ` · ${questions.length - 1} more ${questions.length > 2 ? 'wait' : 'waits'}` : ''}` : '');
      optim.setText(prompt, at ? at.prompt : '');
      prompt.title = at ? at.prompt : '';
      drawButtons(ready);
      const blind = settings.get('blind');
      optim.show(secrets, !blind && at);
      if (!blind && at) secrets.replaceChildren(...tell());
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
      blind: () => !node.hidden && settings.get('blind'),
      key: (event) => {
        if (node.hidden) return false;
        const id = event.key === 'Escape' ? full && 'full' : map.action(event);
        if (!id) return false;
        if (id.startsWith('pick_')) pick(Number(id.slice(5)) - 1);
        else acts[id]();
        return true;
      },
    };
  };
})();
