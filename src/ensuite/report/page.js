// Sort a table by the column whose heading is clicked; a second click reverses the order.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  headings.forEach((heading, place) => {
    heading.querySelector("button")?.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") !== "descending";
      const key = (row) => row.cells[place].dataset.key;
      const rows = [...body.rows].sort((a, b) => {
        if (!key(a) || !key(b)) return !key(a) - !key(b); // empty cells come last in both orders
        const order = key(a).localeCompare(key(b), "en", { numeric: false });
        const difference = key(a) - key(b);
        return (down ? -1 : 1) * (Number.isNaN(difference) ? order : difference);
      });
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      body.append(...rows);
    });
  });
}

// plotly.js is embedded in this page, compressed; it is unpacked here instead of downloaded.
async function draw(packed, plots) {
  const bytes = Uint8Array.from(atob(packed.textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
  const options = { responsive: true, displayModeBar: false };
  for (const plot of plots) {
    const { data, layout } = JSON.parse(plot.querySelector("script").textContent);
    await Plotly.newPlot(plot, data, layout, options);
  }
}

const packed = document.getElementById("plotly");
if (packed) {
  draw(packed, document.querySelectorAll(".plot")).catch((error) => {
    document.body.classList.add("undrawn"); // the text below each figure remains
    console.error(error);
  });
}
