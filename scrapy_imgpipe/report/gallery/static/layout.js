// Rows of pictures with true aspect ratios that fill the width. Pure: numbers in, numbers out.
// All rows are known before any is drawn, so that nothing jumps when pictures come in.
"use strict";
imgpipe.layout = (() => {
  // Aspects beyond these are shown inside of a tile that has them.
  const NARROWEST = 0.4;
  const WIDEST = 10;
  const UNKNOWN = 4 / 3;
  const MOST_STRETCH = 1.35; // of a row that has too few pictures to fill it

  function aspect(row) {
    if (!row.width || !row.height) return UNKNOWN;
    return Math.min(Math.max(row.width / row.height, NARROWEST), WIDEST);
  }

  // Returns { lines, height }; a line is { top, height, first, widths }, all in pixels.
  function justify(rows, width, target, gap) {
    const lines = [];
    let top = 0;
    let first = 0;
    let sum = 0;
    const close = (end, total, height) => {
      const widths = rows.slice(first, end).map((row) => aspect(row) * height);
      lines.push({ top, height, first, widths, number: lines.length });
      top += height + gap;
      first = end;
      sum = total;
    };
    const fitting = (count, total) => (width - gap * (count - 1)) / total;
    rows.forEach((row, place) => {
      const share = aspect(row);
      const count = place - first + 1;
      const height = fitting(count, sum + share);
      if (height > target) {
        sum += share;
        return;
      }
      // Which is nearer to what is wished for: with this one, or without?
      const without = count > 1 ? fitting(count - 1, sum) : Infinity;
      if (without / target < target / height) close(place, share, without);
      else close(place + 1, 0, height);
    });
    if (first < rows.length) {
      const height = fitting(rows.length - first, sum);
      close(rows.length, 0, height > target * MOST_STRETCH ? target : height);
    }
    return { lines, height: Math.max(top - gap, 0) };
  }

  // The first line that ends below y.
  function lineAt(lines, y) {
    let low = 0;
    let high = lines.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (lines[middle].top + lines[middle].height < y) low = middle + 1;
      else high = middle;
    }
    return Math.min(low, lines.length - 1);
  }

  function lineOf(lines, place) {
    let low = 0;
    let high = lines.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (lines[middle].first <= place) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  return { justify, lineAt, lineOf };
})();
