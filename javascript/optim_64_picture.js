// A picture that Optim made, dropped on the tab or chosen: which trial it is of.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el, tr } = optim;

  // onFound({folder, trial, recipe, kept}) of the picture.
  optim.parts.picture = ({ root, attempt, onFound }) => {
    const read = (file) => attempt(async () => {
      if (file) onFound(await optim.post('picture', { name: file.name, data: await optim.base64(file) }));
    });
    const input = el('input', {
      type: 'file', id: 'optim_picture_file', accept: 'image/png,image/jpeg,image/webp', hidden: true,
      on: {
        change: () => {
          read(input.files[0]);
          input.value = '';
        },
      },
    });
    const button = optim.button('optim_picture', tr('Find a picture’s trial …'), () => input.click(), 'small', tr('Which run and trial a picture that Optim made is of; it can also be dropped anywhere on this tab'));
    // Dialogs take pictures for purposes of their own.
    const ours = (event) => !event.defaultPrevented && [...event.dataTransfer.types].includes('Files') && !event.target.closest('dialog');
    root.addEventListener('dragover', (event) => (ours(event) ? event.preventDefault() : null));
    root.addEventListener('drop', (event) => {
      if (!ours(event)) return;
      event.preventDefault();
      read(event.dataTransfer.files[0]);
    });
    return { nodes: [button, input] };
  };
})();
