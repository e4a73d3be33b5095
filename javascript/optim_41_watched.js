// Judges that are only watched, beside the score: their opinion of the best so far, and a warning when the two part.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el, svg } = optim;
  const titleOf = (judges, id) => (judges.find((row) => row.id === id) || { title: id }).title;

  // A curve per watched judge over the plot, on a scale of its own: a dot per trial, a step line through the trials that were
  // the best so far. `at`: {x, top, floor, right} in the plot's units.
  optim.watchedCurves = (watched, trials, at) => {
    const parts = [];
    for (const [i, judge] of watched.slice(0, 3).entries()) {
      const mine = trials.filter((t) => t.state === 'complete' && t.value !== null && t.watched && judge.scorer in t.watched);
      if (!mine.length) continue;
      const scoreOf = (t) => t.watched[judge.scorer];
      const low = Math.min(...mine.map(scoreOf));
      const high = Math.max(...mine.map(scoreOf));
      const span = high - low || Math.abs(high) || 1;
      const part = (v) => (judge.lower ? (high - v) / span : (v - low) / span);
      const y = (v) => at.floor - 6 - (at.floor - at.top - 12) * part(v);
      let best = null;
      let path = '';
      for (const t of mine) {
        parts.push(svg('circle', { class: `optim-watchdot optim-watch${i}`, cx: at.x(t.number), cy: y(scoreOf(t)), r: 2 }));
        if (best !== null && (t.pass !== best.pass ? false : t.value <= best.value)) continue;
        const again = best !== null && t.pass === best.pass;
        path += again ? `H${at.x(t.number)}V${y(scoreOf(t))}` : `M${at.x(t.number)} ${y(scoreOf(t))}`;
        best = t;
      }
      parts.push(svg('path', { class: `optim-watchline optim-watch${i}`, d: `${path}H${at.x(mine[mine.length - 1].number)}` }));
      if (i === 0) {
        for (const v of high > low ? [low, high] : [low]) {
          parts.push(svg('text', { class: 'optim-tick optim-watch0', x: at.right, y: y(v) + (v === low ? -3 : 9) * (judge.lower ? -1 : 1), 'text-anchor': 'end', text: `${Number(v.toPrecision(3))}` }));
        }
      }
    }
    return parts;
  };

  // Below the plot: which line is whose, and one sentence for each that parts from the score.
  optim.watchedNotes = () => {
    const node = el('div', { class: 'optim-stack', id: 'optim_watched', hidden: true });
    let drawn = '';
    return {
      node,
      draw: (watched, judges) => {
        const signature = JSON.stringify(watched || []);
        optim.show(node, watched && watched.length);
        if (signature === drawn) return;
        drawn = signature;
        const keys = watched.slice(0, 3).map((judge, i) => el('span', { class: `optim-watch${i}` }, el('i', { class: 'optim-key-watch' }), `${titleOf(judges, judge.scorer)} (only watched): its score of the best so far, on a scale of its own`));
        const warnings = watched.filter((judge) => judge.parted).map((judge) => el('div', { class: 'optim-help optim-warning', text:
          `The score still rises, but ${titleOf(judges, judge.scorer)}, which is only watched, thinks less of the newest best trials (${Number(judge.parted.after.toPrecision(3))}) than of those before (${Number(judge.parted.before.toPrecision(3))}). The search may be learning what fools its judges: compare the images.` }));
        node.replaceChildren(el('div', { class: 'optim-legend' }, ...keys), ...warnings);
      },
    };
  };
})();
