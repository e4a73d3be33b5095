// What is happening: the bar on top, the score plot, the trials and their images, errors; and the poll that feeds it.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el, tr } = optim;
  const NAMES = () => ({ idle: tr('Ready'), starting: tr('Starting'), running: tr('Running'), pausing: tr('Pausing'), paused: tr('Paused'), waiting: tr('Your turn'), stopping: tr('Stopping'), finished: tr('Finished'), failed: tr('Failed') });
  const MAKING = ['starting', 'running'];
  const RESTING = ['idle', 'finished', 'failed'];

  // --- the bar -------------------------------------------------------------------------------------------------
  optim.parts.bar = ({ onStart, onCommand }) => {
    const pill = el('span', { class: 'optim-pill', id: 'optim_state', role: 'status' });
    const facts = el('span', { class: 'optim-facts', id: 'optim_facts' });
    const sentence = el('div', { class: 'optim-sentence', id: 'optim_sentence' });
    const start = optim.button('optim_generate', tr('Start'), onStart, 'primary', tr('Start the search (Ctrl+Enter)'));
    const pause = optim.button('optim_pause', tr('Pause'), () => onCommand(pause.dataset.command), '', tr('Pause after the current image; your own model is put back meanwhile'));
    const skipImage = optim.button('optim_skip', tr('Skip image'), () => onCommand('skip_image'), '', tr('Leave out the image now being made'));
    const skipTrial = optim.button('optim_skip_trial', tr('Skip trial'), () => onCommand('skip_trial'), '', tr('Give up this trial without a score'));
    const finish = optim.button('optim_finish', tr('Finish trial'), () => onCommand('finish'), '', tr('Finish this trial, then stop'));
    const stop = optim.button('optim_interrupt', tr('Stop'), () => onCommand('stop'), 'stop', tr('End the run; everything finished so far is kept and can be resumed'));
    const fill = el('div', { class: 'optim-progress-fill' });
    const progress = el('div', { class: 'optim-progress', id: 'optim_progress', role: 'progressbar', 'aria-label': tr('Progress of the run'), 'aria-valuemin': 0, 'aria-valuemax': 100 }, fill);
    const node = el('div', { class: 'optim-bar-top' },
      el('div', { class: 'optim-bar-row' },
        el('div', { class: 'optim-bar-text' }, el('div', { class: 'optim-bar-line' }, pill, facts), sentence),
        el('div', { class: 'optim-bar-buttons' }, start, pause, skipImage, skipTrial, finish, stop)),
      progress);
    return {
      node,
      draw: (snapshot, offline, busy) => {
        const state = offline ? 'offline' : snapshot.state;
        const active = !RESTING.includes(snapshot.state);
        optim.setText(pill, offline ? tr('No answer') : NAMES()[snapshot.state] || snapshot.state);
        pill.dataset.state = state;
        optim.setText(facts, active || snapshot.run ? factLine(snapshot, active) : '');
        const next = ((snapshot.run && snapshot.run.passes) || []).some((row) => !row.begun) ? tr(' The changed plan begins after this trial.') : '';
        const last = !active || snapshot.state === 'stopping' ? '' : snapshot.finishing ? tr(' The run ends with this trial.') : next;
        optim.setText(sentence, offline ? tr('The program does not answer. Scores you give are kept and sent when it is back.') : `${snapshot.sentence}${last}`);
        const paused = snapshot.state === 'paused' || snapshot.state === 'pausing';
        optim.setText(pause, paused ? tr('Continue') : tr('Pause'));
        pause.dataset.command = paused ? 'go_on' : 'pause';
        optim.setDisabled(start, active || offline || busy);
        optim.setDisabled(pause, offline || ![...MAKING, 'waiting', 'pausing', 'paused'].includes(snapshot.state));
        optim.setDisabled(skipImage, offline || ![...MAKING, 'pausing'].includes(snapshot.state));
        optim.setDisabled(skipTrial, offline || ![...MAKING, 'waiting', 'pausing', 'paused'].includes(snapshot.state));
        optim.setText(finish, snapshot.finishing && active ? tr('Finishing') : tr('Finish trial'));
        optim.setDisabled(finish, offline || snapshot.finishing || ![...MAKING, 'waiting', 'pausing', 'paused'].includes(snapshot.state));
        optim.setDisabled(stop, offline || !active || snapshot.state === 'stopping');
        const part = partOf(snapshot);
        fill.style.width = `${part}%`;
        progress.setAttribute('aria-valuenow', part);
        optim.setClass(progress, 'optim-busy', active && !paused && snapshot.state !== 'waiting');
      },
    };
  };

  const partOf = (snapshot) => {
    const { images_done: done, images_all: all, step, steps } = snapshot.progress;
    if (snapshot.state === 'finished' && all && done >= all) return 100;
    return all ? Math.min(100, (100 * (done + (snapshot.current !== null && steps ? step / steps : 0))) / all) : 0;
  };

  const factLine = (snapshot, active) => {
    const p = snapshot.progress;
    const verifying = /^verification/.test(p.phase);
    const facts = verifying ? [] : [p.trial ? tr('trial {n}/{all}', { n: p.trial, all: p.trials }) : optim.count(p.trials, '{n} trial', '{n} trials')];
    // Without a start design the phase would only say the same again.
    if ((active || verifying) && p.phase && p.phase !== `search ${p.trial}/${p.trials}`) facts.push(p.phase);
    if (active && p.image) facts.push(tr('image {n}/{all}', { n: p.image, all: p.images }));
    if (p.swap_seconds !== null) facts.push(tr('swap {time}', { time: optim.seconds(p.swap_seconds) }));
    if (snapshot.best) facts.push(tr('best {value} (trial {trial})', { value: optim.number(snapshot.best.value), trial: snapshot.best.trial }));
    if (active && p.eta_seconds !== null) facts.push(tr('~{time} left', { time: optim.duration(p.eta_seconds) }));
    return facts.join(' · ');
  };

  const ORIGINS = () => [[/^sampler: /, tr('proposed by ')], [/^verify: /, tr('from fresh seeds: trial ')], [/^rescored: /, tr('scored again: trial ')], [/^best: /, tr('the best so far: trial ')]];
  optim.originText = (origin) => ORIGINS().reduce((text, [from, to]) => text.replace(from, to), origin);

  // --- one trial: head, images, values ---------------------------------------------------------------------------
  optim.parts.trialCard = ({ id, onOpen, onSave, onSaveAs, onFail, onFollow, actions }) => {
    const title = el('span', { class: 'optim-title' });
    const value = el('span', { class: 'optim-value' });
    const note = el('span', { class: 'optim-note' });
    const save = optim.button(`${id}_save`, tr('Save checkpoint'), () => onSave(shown), 'small', tr('Write this merge as a checkpoint file'));
    const saveAs = optim.button(`${id}_save_as`, '…', () => onSaveAs(shown), 'small', tr('Save with another name, precision or VAE'));
    const follow = onFollow ? optim.button(`${id}_follow`, tr('Show current'), onFollow, 'small', tr('Go back to the trial that is being made')) : null;
    const gallery = optim.gallery({ id: `${id}_images`, onOpen: (i) => onOpen(shown, i) });
    const profile = optim.profile();
    const copyRow = optim.copyRow(id, () => shown, onFail);
    const more = actions ? actions(`${id}_take`, () => shown) : null;
    const reason = el('div', { class: 'optim-help optim-warning', hidden: true });
    const body = el('div', { class: 'optim-stack' }, reason, gallery.node, note, profile.node, copyRow, more);
    const node = el('section', { class: 'optim-card', id },
      el('div', { class: 'optim-section-head' }, title, value, el('span', { class: 'optim-head-right' }, follow, save, saveAs)), body);
    let shown = null;
    return {
      node,
      trial: () => shown,
      draw: ({ heading, number, trial, folder, images, total, step, compare, pinned, saving, empty }) => {
        shown = number;
        optim.setText(title, number === null ? heading : `${heading} ${number}`);
        optim.setText(value, trial && typeof trial.value === 'number' ? optim.number(trial.value) : '');
        optim.setText(note, trial ? [...Object.entries(trial.axes || {}).map(([name, v]) => `${name} ${optim.number(v)}`), optim.originText(trial.origin), trial.recipe ? tr('recipe {name}', { name: trial.recipe }) : ''].filter(Boolean).join(' · ') : '');
        note.title = note.textContent;
        if (follow) follow.hidden = !pinned;
        save.hidden = number === null || !trial || !['complete', 'waiting'].includes(trial.state);
        optim.setDisabled(save, saving.has(number));
        saveAs.hidden = save.hidden;
        if (more) more.hidden = save.hidden;
        optim.setDisabled(saveAs, saving.has(number));
        optim.show(copyRow, trial && Object.values(trial.values).some((v) => typeof v === 'number'));
        optim.setText(save, saving.has(number) ? tr('Saving …') : tr('Save checkpoint'));
        if (number === null) {
          // The slots stand empty from the beginning, so that nothing moves when the first trial comes.
          optim.setText(note, empty);
          optim.show(reason, false);
          gallery.draw(folder, [], total, null);
          profile.draw({}, null);
          return;
        }
        const bad = trial && trial.reason ? trial.state === 'failed' ? tr('Failed: {reason}', { reason: trial.reason }) : trial.reason : '';
        optim.setText(reason, bad);
        optim.show(reason, bad);
        gallery.draw(folder, images, total, step);
        profile.draw(trial ? trial.drawn || trial.values : {}, compare);
      },
    };
  };

  // --- notices: answers to what the user just did -------------------------------------------------------------
  optim.parts.notices = () => {
    const text = el('div', { class: 'optim-notice-text' });
    const close = optim.button('optim_notice_close', tr('Close'), () => put(null), 'small');
    const node = el('div', { class: 'optim-notice', id: 'optim_notice', role: 'alert', hidden: true }, text, close);
    const put = (sentences, kind) => {
      optim.show(node, sentences && sentences.length);
      if (!sentences || !sentences.length) return;
      node.dataset.kind = kind || 'error';
      text.replaceChildren(...sentences.map((sentence) => el('div', { text: sentence })));
    };
    return { node, put };
  };

  // --- the poll ----------------------------------------------------------------------------------------------------
  // Keeps `store` in step with the program: {snapshot, trials: Map, offline}. Sleeps while the tab is not in view.
  optim.poller = ({ root, store, wanted, onData, seconds }) => {
    let timer = 0;
    let busy = false;
    let again = false;
    const visible = () => !document.hidden && root.isConnected && root.offsetParent !== null;
    const pause = () => (store.offline ? 3000 : Math.max(store.snapshot && RESTING.includes(store.snapshot.state) ? 4000 : 0, 1000 * seconds()));
    const plan = (delay) => {
      clearTimeout(timer);
      timer = setTimeout(poll, delay);
    };
    const poll = async () => {
      clearTimeout(timer);
      if (busy) {
        again = true;
        return;
      }
      if (!visible()) {
        plan(700);
        return;
      }
      busy = true;
      again = false;
      const asked = performance.now();
      try {
        const also = wanted();
        const path = (since) => `snapshot?since=${since}${also.length ? `&trials=${also.join(',')}` : ''}`;
        let snapshot = await optim.get(path(store.revision));
        const folder = snapshot.run ? snapshot.run.folder : null;
        const key = snapshot.run ? `${folder} ${snapshot.run.started}` : '';
        if (key !== store.key) {
          // Another run, or the same one opened anew: what was held belongs to the past.
          if (store.revision) snapshot = await optim.get(path(0));
          store.key = key;
          store.trials.clear();
          store.newRun = true;
        }
        const take = (answer) => {
          for (const trial of answer.trials) store.trials.set(trial.number, trial);
          store.revision = answer.revision;
        };
        take(snapshot);
        // A long run comes in pieces: what there is stands at once, the rest when all of it is here.
        if (snapshot.more) {
          Object.assign(store, { snapshot, offline: false, asked });
          onData();
          while (snapshot.more) {
            snapshot = await optim.get(path(store.revision));
            if (!snapshot.run || `${snapshot.run.folder} ${snapshot.run.started}` !== key) {
              snapshot = store.snapshot; // another run meanwhile; the next poll sees to it
              again = true;
              break;
            }
            take(snapshot);
          }
        }
        store.snapshot = snapshot;
        store.offline = false;
        store.asked = asked;
      } catch (error) {
        store.offline = true;
        store.offlineReason = error.message;
      }
      busy = false;
      plan(again ? 0 : pause());
      onData();
    };
    document.addEventListener('visibilitychange', () => (document.hidden ? null : poll()));
    return { now: poll };
  };
})();
