"""Writes workbooks into xlsx/, and beside each the CSV of what its cells hold, by these rules and not by reading it back:
a whole number has no point, another as many digits as it needs, text is as it is, a date is 2024-03-01, a point in time
2024-03-01T10:20:00, a time 10:20:00, hours go on after 24, a truth value is TRUE or FALSE, #N/A is nothing.

Run: python xlsx.py     (openpyxl 3.1, xlsxwriter 3.2)
"""
import csv
import datetime as dt
import pathlib

import openpyxl
import xlsxwriter
from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900

FOLDER = pathlib.Path(__file__).parent / "xlsx"
FOLDER.mkdir(exist_ok=True)

# Of each column: its name, its number format, its cells, and what they are in the CSV where that is not their `str`.
D, T, S = dt.date, dt.datetime, dt.timedelta
COLUMNS = [
    ("patient", "@", ["007", "010", None, "1e5", "TRUE"], None),
    ("age", "General", [54, 3, 0, -2, 1000000], None),
    ("weight", "0.0", [0.1, 70.25, 1 / 3, -0.5, 1e-9], ["0.1", "70.25", "0.3333333333333333", "-0.5", "1e-9"]),
    ("share", "0%", [0.5, 1, 0.07, None, 0], None),
    ("price", '#,##0.00 "€"', [1234.5, 12, 0.07, None, 1e15], ["1234.5", "12", "0.07", "", "1000000000000000"]),
    ("smokes", "General", [True, False, None, True, False], ["TRUE", "FALSE", "", "TRUE", "FALSE"]),
    ("seen", "dd/mm/yyyy", [D(2024, 3, 1), D(1999, 12, 31), D(2000, 2, 29), None, D(2024, 12, 31)], None),
    (
        "taken",
        "yyyy-mm-dd hh:mm:ss",
        [T(2024, 3, 1, 10, 20), T(2024, 3, 1), T(2023, 7, 9, 23, 59, 59), T(2024, 2, 29, 0, 0, 1), None],
        ["2024-03-01T10:20:00", "2024-03-01T00:00:00", "2023-07-09T23:59:59", "2024-02-29T00:00:01", ""],
    ),
    ("hour", "h:mm", [dt.time(10, 20), dt.time(23, 59), None, dt.time(6), dt.time(0, 0, 1)], None),
    ("awake", "[h]:mm:ss", [S(hours=36), S(minutes=5), S(hours=100), None, S(hours=1)], ["36:00:00", "00:05:00", "100:00:00", "", "01:00:00"]),
    (
        "note",
        "General",
        ["über, \"so\"", " two\nlines ", "a & b < c", None, "=1+1 is two"],
        None,
    ),
    (None, "General", [None, None, None, None, None], None),
    (2024, "General", ["x", 1, 2.5, None, "1,5"], None),
]


def text(cell):
    return "" if cell is None else str(cell)


def write_csv(name, header, columns):
    with open(FOLDER / name, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(zip(*columns))


def types(name, epoch):
    book = openpyxl.Workbook()
    book.epoch = epoch
    book.loaded_theme = b'<a:theme xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" name="none"/>'
    sheet = book.active
    # Nothing above the header, and nothing in what was only coloured below.
    for column, (title, form, cells, _) in enumerate(COLUMNS, 2):
        sheet.cell(3, column, title)
        for row, cell in enumerate(cells, 4):
            # The first row of all is followed by one without cells.
            place = sheet.cell(row + (row > 4), column, cell)
            place.number_format = form
            if isinstance(cell, str):
                place.data_type = "s"
    sheet.cell(40, 30).number_format = "0.00"
    sheet.row_dimensions[6].hidden = True
    book.save(FOLDER / f"{name}.xlsx")
    header = [f"column {at}" if title is None else title for at, (title, *_) in enumerate(COLUMNS, 2)]
    columns = [says or [text(cell) for cell in cells] for _, _, cells, says in COLUMNS]
    write_csv(f"{name}.csv", header, [[column[0], "", *column[1:]] for column in columns])


def sheets():
    """Several sheets, shared strings, one with letters in bold, results of formulas, merged cells."""
    book = xlsxwriter.Workbook(str(FOLDER / "sheets.xlsx"))
    book.add_worksheet("Empty")
    hidden = book.add_worksheet("Hidden")
    hidden.write(0, 0, "old")
    hidden.hide()
    sheet = book.add_worksheet("Patients & co")
    day = book.add_format({"num_format": 14})
    sheet.write_row(0, 0, ["file_name", "side", "sum", "day", "remark", "site"])
    sheet.write_row(1, 0, ["a.png", "left"])
    sheet.write_formula(1, 2, "=1+1", None, 2)
    sheet.write_datetime(1, 3, T(2024, 3, 1), day)
    sheet.write_formula(1, 4, '="x"&"y"', None, "xy")
    sheet.write(2, 0, "b.png")
    sheet.write_rich_string(2, 1, "le", book.add_format({"bold": True}), " ft")
    sheet.write_formula(2, 2, "=NA()", None, "#N/A")
    sheet.write_formula(2, 4, "=1=1", None, True)
    sheet.write_row(3, 0, [" c.png ", "_x0041_", 1e-7])
    sheet.merge_range(1, 5, 2, 5, "north", day)
    sheet.write(3, 5, "south")
    codes = book.add_worksheet("Codes")
    codes.write_row(0, 0, ["code", "means"])
    codes.write_row(1, 0, [1, "left"])
    book.close()
    write_csv(
        "sheets.csv",
        ["file_name", "side", "sum", "day", "remark", "site"],
        zip(["a.png", "left", "2", "2024-03-01", "xy", "north"], ["b.png", "le ft", "", "", "TRUE", ""], [" c.png ", "_x0041_", "1e-7", "", "", "south"]),
    )


types("types", CALENDAR_WINDOWS_1900)
types("types_1904", CALENDAR_MAC_1904)
sheets()


def patients():
    """What a records office sends, for the tests of the command line."""
    folder = FOLDER.parents[3] / "sidelight-cli/tests/cases/34-workbook"
    header = ["photo", "patient", "age", "weight", "side", "seen", "height"]
    rows = []
    for at in range(24):
        seen = D(2024, 1, 1) + S(days=17 * at)
        rows.append([f"img/p{at:03}.png", f"{at // 2:03}", 20 + 7 * at % 60, 50.25 + at * 1.5, "left" if at % 3 else "right", seen, 150 + at + at % 3 / 2])
    book = openpyxl.Workbook()
    book.loaded_theme = b'<a:theme xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" name="none"/>'
    sheet = book.active
    sheet.title = "Patients"
    for row in [header, *rows]:
        sheet.append(row)
        sheet.cell(sheet.max_row, 6).number_format = "dd/mm/yyyy"
    book.create_sheet("Codes").append(["side", "means"])
    book.save(folder / "patients.xlsx")
    with open(folder / "patients.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows([[f"{cell:g}" if isinstance(cell, float) else cell for cell in row] for row in rows])


patients()
