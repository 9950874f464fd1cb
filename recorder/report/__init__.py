"""Recordings as pictures: one page for a browser, and each of its charts as a file.

    data     what the tables say of every stream, and which streams are shown event by event
    detail   one stream, event by event
    page     the page: HTML, style, program, data, and the charts' library, in one file
    charts   the same charts as PNG and SVG
    live     the page served on the loopback while recordings grow

The charts are Vega-Lite documents in `assets/charts/`, drawn by one library in the browser and here, so a picture
in a file is the picture of the page. Nothing here is imported until it is asked for.
"""
