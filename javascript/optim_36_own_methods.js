// The user's own method files below the method: where they go, what they gave, and why one cannot be used.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  optim.ownMethods = (plan) => {
    const title = el('span', { text: 'Your own methods' });
    const hint = el('span', { class: 'optim-summary' });
    const body = el('div', { class: 'optim-stack' });
    const node = el('details', { id: 'optim_own_methods', hidden: true }, el('summary', { class: 'optim-note' }, title, ' · ', hint), body);
    let drawn = '';
    const draw = () => {
      const own = plan.own;
      const signature = JSON.stringify(own || null);
      if (signature === drawn) return;
      drawn = signature;
      optim.show(node, own);
      if (!own) return;
      const count = own.files.reduce((sum, file) => sum + file.methods.length, 0);
      const problems = own.files.flatMap((file) => file.problems);
      optim.setText(hint, [count ? optim.plural(count, 'method') : 'none', ...(problems.length ? [optim.plural(problems.length, 'problem')] : [])].join(', '));
      optim.setClass(hint, 'optim-warning', problems.length > 0);
      if (problems.length) node.open = true;
      body.replaceChildren(
        el('div', { class: 'optim-help' }, 'Python files in ', el('span', { class: 'optim-path', text: own.folder }), ' with functions under ', el('code', { text: '@merge_method' }), ' appear in the list after Refresh.'),
        ...own.files.filter((file) => file.methods.length).map((file) => el('div', { class: 'optim-note', text: `${file.file}: ${file.methods.join(', ')}` })),
        ...problems.map((text) => el('div', { class: 'optim-error', text })));
    };
    return { node, draw };
  };
})();
