// Human scores: the row of buttons, the keys, and the queue that brings them to the program.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  // Optimistic and idempotent: a score is shown at once, kept, and sent again until the program has answered.
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

  optim.scoreButtons = (prefix, onScore) => {
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
})();
