// An answer as it comes.

import {Fault} from './client.js';

// read takes what comes of an answer into its message. changed is called once a frame when there is more of it, and every few
// seconds kept is.
export async function read(node, pieces, changed, kept) {
  let frame = 0, first = 0, last = 0, count = 0, then = Date.now();
  const about = node.about;
  const draw = () => {
    frame = 0;
    changed();
  };
  try {
    for await (const piece of pieces) {
      if (piece.content || piece.reasoning) {
        last = performance.now();
        first ||= last;
        count++;
        if (last - first > 300) about.speed = (count - 1) / (last - first) * 1000;
        about.drawn = count;
      }
      node.text += piece.content;
      node.thought += piece.reasoning;
      if (piece.finish) about.finish = piece.finish;
      if (piece.usage) Object.assign(about, counted(piece.usage, last - first));
      frame ||= requestAnimationFrame(draw);
      if (Date.now() - then > 3000) {
        kept();
        then = Date.now();
      }
    }
  } finally {
    cancelAnimationFrame(frame);
    draw();
  }
}

// counted returns what an answer cost by the server's count, and its speed over so many milliseconds.
function counted(usage, time) {
  const drawn = usage.completion_tokens;
  return {counted: true, drawn, prompt: usage.prompt_tokens, cached: usage.prompt_tokens_details?.cached_tokens ?? 0,
    speed: drawn > 1 && time > 0 ? (drawn - 1) / time * 1000 : 0};
}

// failed writes into a message why its answer ended early, and returns that.
export function failed({about}, err) {
  if (err.name === 'AbortError') {
    about.finish = 'stopped';
    return 'The answer is stopped.';
  }
  about.finish = 'failed';
  about.problem = err instanceof Fault ? err.message : `The page failed: ${err}`;
  about.advice = err.advice ?? '';
  return `${about.problem} ${about.advice}`;
}
