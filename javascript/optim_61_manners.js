// What a page says while nobody looks at it: progress in its title, and a call when somebody should come and look.
(() => {
  'use strict';
  const optim = window.optimTab;
  const RESTING = ['idle', 'finished', 'failed'];
  const CALLS = { turn: 'Your turn', done: 'Finished', trouble: 'Stopped by an error' };
  const AWAY = 3000; // between looks at a run while nobody looks at the page
  const FLASH = 1000;

  // --- the title: our words before whatever the host calls its page ------------------------------------------------
  optim.pageTitle = () => {
    let words = '';
    return (next) => {
      let rest = document.title;
      if (words && rest.startsWith(words)) rest = rest.slice(words.length);
      else if (/^\[/.test(rest)) return; // the host shows the progress of an image of its own
      words = next ? `${next} ` : '';
      if (document.title !== words + rest) document.title = words + rest;
    };
  };

  const beep = () => {
    const Sound = window.AudioContext || window.webkitAudioContext;
    if (!Sound) return;
    const sound = new Sound();
    [660, 880].forEach((pitch, i) => {
      const tone = sound.createOscillator();
      const volume = sound.createGain();
      const begin = sound.currentTime + i * 0.16;
      tone.frequency.value = pitch;
      volume.gain.setValueAtTime(0.0001, begin);
      volume.gain.exponentialRampToValueAtTime(0.12, begin + 0.02);
      volume.gain.exponentialRampToValueAtTime(0.0001, begin + 0.15);
      tone.connect(volume).connect(sound.destination);
      tone.start(begin);
      tone.stop(begin + 0.16);
      if (i) tone.onended = () => sound.close();
    });
  };

  const toTheTab = () => {
    window.focus();
    const tabs = document.querySelectorAll('#tabs > .tab-nav > button');
    const ours = [...tabs].find((button) => button.textContent.trim() === 'Optim');
    if (ours) ours.click();
  };

  // --- the watch ---------------------------------------------------------------------------------------------------
  optim.manners = ({ root, settings }) => {
    const title = optim.pageTitle();
    let last = null;
    let timer = 0;
    let flashing = 0;
    const away = () => document.hidden || !root.isConnected || root.offsetParent === null;
    const active = () => last !== null && !RESTING.includes(last.state);

    const progress = () => {
      const wanted = !window.opts || window.opts.show_progress_in_title !== false;
      return active() && wanted && last.trials ? `[Optim ${last.trial}/${last.trials}]` : '';
    };
    const stopFlashing = () => {
      clearInterval(flashing);
      flashing = 0;
    };
    const flash = () => {
      stopFlashing();
      let on = false;
      const blink = () => {
        if (!away() || !last || !last.call) stopFlashing();
        on = !on && flashing !== 0;
        title(on ? `(!) ${CALLS[last.call]}:` : progress());
      };
      flashing = setInterval(blink, FLASH);
      blink();
    };
    const call = () => {
      if (!settings.values.notify) return;
      flash();
      if (settings.values.sound) beep();
      if (!('Notification' in window) || Notification.permission !== 'granted') return;
      try {
        const note = new Notification(`Optim: ${CALLS[last.call]}`, { body: last.sentence, tag: 'optim' });
        note.onclick = () => {
          toTheTab();
          note.close();
        };
      } catch {
        // Some browsers let only a service worker do this; the title says it.
      }
    };

    // {state, sentence, folder, trial, trials, call}, from whoever asked.
    const see = (status, once) => {
      const before = last;
      last = status;
      // What is over is news only for a page that saw it going on.
      const news = before && status.call && (status.call !== before.call || status.folder !== before.folder) && (status.call === 'turn' || !RESTING.includes(before.state));
      if (news && away()) call();
      if (!status.call || !away()) stopFlashing();
      if (!flashing) title(progress());
      plan(once);
    };
    const ask = async () => {
      if (away()) {
        try {
          see(await optim.get('status'));
          return;
        } catch {
          // The program is gone or busy: what was last known stands, and is asked for again.
        }
      }
      plan();
    };
    // `once`: also at rest, because a run may have been started just before everybody left.
    const plan = (once) => {
      clearTimeout(timer);
      if (active() || once) timer = setTimeout(ask, AWAY);
    };
    const back = () => {
      if (away()) return;
      stopFlashing();
      title(progress());
    };
    document.addEventListener('visibilitychange', back);
    window.addEventListener('focus', back);
    ask();
    return {
      seen: (snapshot) => see({
        state: snapshot.state, sentence: snapshot.sentence, call: snapshot.call,
        folder: snapshot.run ? snapshot.run.folder : '', trial: snapshot.progress.trial, trials: snapshot.progress.trials,
      }, true),
    };
  };
})();
