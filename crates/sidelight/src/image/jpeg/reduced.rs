//! Decodes a JPEG at 1/2, 1/4 or 1/8 of its size, without computing the pixels in between.
//!
//! A JPEG holds blocks of 8 × 8 pixels as cosine coefficients, the first of which is the block's mean. Each
//! pixel here is the mean of a square of 2 × 2, 4 × 4 or 8 × 8 pixels, found from the coefficients directly.
//! At 1/8 the brightness needs no coefficient but the first, and the codes of the others are passed over,
//! several in one step: most of a large photograph's time goes there.
//!
//! Only what cameras write is read: baseline, Huffman-coded, 8 bits, grey or YCbCr in one scan. For all else,
//! and for anything damaged, there is no answer here and the whole decoder decides.

/// Order in which coefficients are coded: place in a row-by-row block.
///
/// # Source
///
/// ITU-T T.81 (1992), figure A.6; likewise the codes below: annex C, section F.2.2.
const NATURAL: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// A decoded picture, `scale` times smaller than stored, each side rounded up.
pub(super) struct Reduced {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) rgb: Vec<u8>,
}

/// Decodes at 1/`scale`, which is 2, 4 or 8; `None`: not of the kind read here, or damaged.
pub(super) fn decode(bytes: &[u8], scale: usize) -> Option<Reduced> {
    let frame = Frame::read(bytes)?;
    let n = 8 / scale;
    let planes = frame.decode_scan(n)?;
    let (width, height) = (
        (frame.width * n).div_ceil(8),
        (frame.height * n).div_ceil(8),
    );
    let rgb = to_rgb(&planes, frame.plane_width(n), width, height);
    Some(Reduced { width, height, rgb })
}

/// One colour component.
struct Component {
    /// Blocks of this component in one unit of the scan, across and down.
    across: usize,
    down: usize,
    quantisation: [u16; 64],
    dc: usize,
    ac: usize,
}

struct Frame<'a> {
    width: usize,
    height: usize,
    components: Vec<Component>,
    /// The largest `across` and `down`.
    most: [usize; 2],
    dc_tables: [Option<Codes>; 4],
    ac_tables: [Option<Codes>; 4],
    restart_interval: usize,
    /// From the first coded byte on.
    coded: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads all segments up to and including the start of the scan.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut quantisations = [None; 4];
        let mut dc_tables = [const { None }; 4];
        let mut ac_tables = [const { None }; 4];
        let mut restart_interval = 0;
        let mut size = [0; 2];
        let mut listed: Vec<[u8; 3]> = Vec::new();
        let mut is_ycbcr = true;
        let mut at = 2;
        loop {
            let super::Segment { marker, data, end } = super::next_segment(bytes, at)?;
            at = end;
            match marker {
                0xdb => read_quantisations(data, &mut quantisations)?,
                0xc4 => read_codes(data, &mut dc_tables, &mut ac_tables)?,
                0xdd => {
                    restart_interval =
                        usize::from(u16::from_be_bytes([*data.first()?, *data.get(1)?]))
                }
                // Adobe's own mark of the colours: 1 is YCbCr.
                0xee if data.starts_with(b"Adobe") => is_ycbcr = data.get(11) == Some(&1),
                0xc0 | 0xc1 => {
                    let &[8, h1, h0, w1, w0, n, ref rest @ ..] = data else {
                        return None;
                    };
                    size = [u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0])]
                        .map(usize::from);
                    listed = rest
                        .chunks_exact(3)
                        .take(usize::from(n))
                        .map(|c| [c[0], c[1], c[2]])
                        .collect();
                    if listed.len() != usize::from(n) {
                        return None;
                    }
                }
                0xda => {
                    let frame = (size, listed.as_slice(), &quantisations);
                    let components = read_scan(data, frame)?;
                    if components.len() > 1 && !is_ycbcr {
                        return None;
                    }
                    let most = |of: fn(&Component) -> usize| components.iter().map(of).max();
                    let most = [most(|c| c.across)?, most(|c| c.down)?];
                    return Some(Self {
                        width: size[0],
                        height: size[1],
                        components,
                        most,
                        dc_tables,
                        ac_tables,
                        restart_interval,
                        coded: &bytes[end..],
                    });
                }
                // Any other start of frame: progressive, lossless, arithmetic.
                0xc2..=0xcf | 0xd9 => return None,
                _ => {}
            }
        }
    }

    /// Units of the scan, across and down.
    fn units(&self) -> [usize; 2] {
        [
            self.width.div_ceil(8 * self.most[0]),
            self.height.div_ceil(8 * self.most[1]),
        ]
    }

    /// Every component is decoded to planes of one size: where colour is stored at half the resolution of
    /// brightness, its blocks give twice as many pixels a side.
    fn plane_width(&self, n: usize) -> usize {
        self.units()[0] * self.most[0] * n
    }

    fn decode_scan(&self, n: usize) -> Option<Vec<Vec<u8>>> {
        let [units_across, units_down] = self.units();
        let stride = self.plane_width(n);
        let mut planes =
            vec![vec![0u8; stride * units_down * self.most[1] * n]; self.components.len()];
        let mut transforms = Vec::new();
        for component in &self.components {
            let sides = [
                n * self.most[0] / component.across,
                n * self.most[1] / component.down,
            ];
            // A component stored at a quarter of the resolution has no more than 8 pixels a side to give.
            if sides.iter().any(|&side| side > 8) {
                return None;
            }
            transforms.push(Transform::new(sides, component));
        }
        let tables: Vec<(&Codes, &Codes)> = self
            .components
            .iter()
            .map(|component| {
                Some((
                    self.dc_tables[component.dc].as_ref()?,
                    self.ac_tables[component.ac].as_ref()?,
                ))
            })
            .collect::<Option<_>>()?;
        let n_units = units_across * units_down;
        let parts = unstuffed(self.coded);
        let interval = if self.restart_interval == 0 {
            n_units
        } else {
            self.restart_interval
        };
        if parts.len() < n_units.div_ceil(interval) {
            return None;
        }
        for (first, part) in (0..n_units).step_by(interval).zip(&parts) {
            let mut bits = Bits::new(part);
            let mut before = [0i32; 3];
            for unit in first..(first + interval).min(n_units) {
                let (unit_x, unit_y) = (unit % units_across, unit / units_across);
                for (index, component) in self.components.iter().enumerate() {
                    let (dc, ac) = tables[index];
                    let transform = &transforms[index];
                    for down in 0..component.down {
                        for across in 0..component.across {
                            let x = (unit_x * component.across + across) * transform.sides[0];
                            let y = (unit_y * component.down + down) * transform.sides[1];
                            let to = &mut planes[index][y * stride + x..];
                            transform.block(&mut bits, dc, ac, &mut before[index], to, stride)?;
                        }
                    }
                }
            }
            if bits.is_overrun() {
                return None;
            }
        }
        Some(planes)
    }
}

fn read_quantisations(data: &[u8], tables: &mut [Option<[u16; 64]>; 4]) -> Option<()> {
    let mut data = data;
    while let [kind, rest @ ..] = data {
        let wide = usize::from(kind >> 4);
        let values = rest.get(..64 * (wide + 1))?;
        let mut table = [0; 64];
        for (value, bytes) in table.iter_mut().zip(values.chunks_exact(wide + 1)) {
            *value = bytes
                .iter()
                .fold(0, |value, &byte| value << 8 | u16::from(byte));
        }
        *tables
            .get_mut(usize::from(kind & 15))
            .filter(|_| wide < 2)? = Some(table);
        data = &rest[values.len()..];
    }
    Some(())
}

fn read_codes(data: &[u8], dc: &mut [Option<Codes>; 4], ac: &mut [Option<Codes>; 4]) -> Option<()> {
    let mut data = data;
    while let [kind, rest @ ..] = data {
        let lengths: &[u8; 16] = rest.first_chunk()?;
        let n_symbols: usize = lengths.iter().map(|&n| usize::from(n)).sum();
        let symbols = rest.get(16..16 + n_symbols)?;
        let tables = if kind >> 4 == 0 { &mut *dc } else { &mut *ac };
        *tables.get_mut(usize::from(kind & 15))? = Some(Codes::new(lengths, symbols)?);
        data = &rest[16 + n_symbols..];
    }
    Some(())
}

type Listed<'a> = ([usize; 2], &'a [[u8; 3]], &'a [Option<[u16; 64]>; 4]);

/// The components of a scan that holds the whole image.
fn read_scan(data: &[u8], (size, listed, quantisations): Listed) -> Option<Vec<Component>> {
    let n = listed.len();
    if !matches!(n, 1 | 3)
        || size.contains(&0)
        || data.len() < 1 + 2 * n + 3
        || usize::from(data[0]) != n
    {
        return None;
    }
    // Components named R, G and B are red, green and blue.
    if listed.iter().map(|component| component[0]).eq(*b"RGB") {
        return None;
    }
    let mut components = Vec::with_capacity(n);
    for (&[name, sampling, table], chosen) in listed.iter().zip(data[1..].chunks_exact(2)) {
        if chosen[0] != name {
            return None;
        }
        let [across, down] = match n {
            // A component alone is coded block by block, whatever its sampling says.
            1 => [1, 1],
            _ => [sampling >> 4, sampling & 15].map(usize::from),
        };
        components.push(Component {
            across,
            down,
            quantisation: (*quantisations.get(usize::from(table))?)?,
            dc: usize::from(chosen[1] >> 4).min(3),
            ac: usize::from(chosen[1] & 15).min(3),
        });
    }
    let most = |of: fn(&Component) -> usize| components.iter().map(of).max().unwrap_or(0);
    let (across, down) = (most(|c| c.across), most(|c| c.down));
    let fits = |of: usize, most: usize| {
        of > 0 && most <= 4 && most.is_multiple_of(of) && (most / of).is_power_of_two()
    };
    let all_fit = components
        .iter()
        .all(|c| fits(c.across, across) && fits(c.down, down));
    all_fit.then_some(components)
}

/// Bits that a table is looked up by: nearly all codes with their value are shorter.
const LOOKUP: u32 = 12;

/// A Huffman table.
struct Codes {
    /// By the next 12 bits: length of the code (0: longer than that, or no code) and its symbol.
    short: Vec<(u8, u8)>,
    /// By the next 12 bits: one coefficient. `bits` 0: it does not fit into 12 bits.
    steps: Vec<Step>,
    /// By the next 12 bits: as many coefficients as fit.
    skips: Vec<Skip>,
    /// The codes of each length beyond 12 bits.
    long: Vec<LongCodes>,
    symbols: Vec<u8>,
}

/// All codes of one length.
struct LongCodes {
    length: u32,
    /// The first of them and the one after the last, left-aligned in 16 bits.
    first: u32,
    end: u32,
    /// Where their symbols start.
    start: usize,
}

/// What one code of a coefficient says.
#[derive(Clone, Copy, Default)]
struct Step {
    /// Bits of code and value together.
    bits: u8,
    /// Places that it moves on; [`END`]: there are no more coefficients.
    advance: u8,
    value: i16,
}

/// What several codes in a row say of the place.
#[derive(Clone, Copy, Default)]
struct Skip {
    bits: u8,
    advance: u8,
}

/// More places than a block has: its remaining coefficients are 0.
const END: u8 = 128;

/// The places that a symbol moves on: a run of zeros and the coefficient after it, or the block's end.
fn advance(symbol: u8) -> u8 {
    match (symbol >> 4, symbol & 15) {
        (0..15, 0) => END,
        (run, _) => run + 1,
    }
}

impl Codes {
    fn new(lengths: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut short = vec![(0, 0); 1 << LOOKUP];
        let mut long = Vec::new();
        let mut code = 0u32;
        let mut start = 0;
        for (length, &n) in (1..=16u32).zip(lengths) {
            let end = start + usize::from(n);
            let first = code;
            for &symbol in &symbols[start..end] {
                // More codes than the length has room for.
                if code >= 1 << length {
                    return None;
                }
                if length <= LOOKUP {
                    let first = (code << (LOOKUP - length)) as usize;
                    short[first..first + (1 << (LOOKUP - length))].fill((length as u8, symbol));
                }
                code += 1;
            }
            if length > LOOKUP {
                let align = 16 - length;
                long.push(LongCodes {
                    length,
                    first: first << align,
                    end: code << align,
                    start,
                });
            }
            start = end;
            code <<= 1;
        }
        let mut codes = Self {
            short,
            steps: Vec::new(),
            skips: Vec::new(),
            long,
            symbols: symbols.to_vec(),
        };
        codes.steps = (0..1 << LOOKUP).map(|bits| codes.step(bits)).collect();
        codes.skips = (0..1 << LOOKUP).map(|bits| codes.skip(bits)).collect();
        Some(codes)
    }

    fn step(&self, bits: u32) -> Step {
        let (length, symbol) = self.short[bits as usize];
        let n_value = symbol & 15;
        if length == 0 || u32::from(length + n_value) > LOOKUP {
            return Step::default();
        }
        let value = bits >> (LOOKUP - u32::from(length + n_value)) & ((1 << n_value) - 1);
        Step {
            bits: length + n_value,
            advance: advance(symbol),
            value: signed(value, n_value) as i16,
        }
    }

    fn skip(&self, bits: u32) -> Skip {
        let mut skip = Skip::default();
        while skip.advance < END {
            let step = self.steps[(bits << skip.bits & ((1 << LOOKUP) - 1)) as usize];
            let is_whole = step.bits > 0 && u32::from(skip.bits + step.bits) <= LOOKUP;
            if !is_whole || (skip.advance & 127) + (step.advance & 127) > 63 {
                break;
            }
            skip.bits += step.bits;
            skip.advance += step.advance;
        }
        skip
    }

    /// Reads one symbol.
    fn symbol(&self, bits: &mut Bits) -> Option<u8> {
        let (length, symbol) = self.short[bits.peek(LOOKUP) as usize];
        if length > 0 {
            bits.drop(u32::from(length));
            return Some(symbol);
        }
        let next = bits.peek(16) as u32;
        let codes = self
            .long
            .iter()
            .find(|codes| (codes.first..codes.end).contains(&next))?;
        bits.drop(codes.length);
        self.symbols
            .get(codes.start + ((next - codes.first) >> (16 - codes.length)) as usize)
            .copied()
    }
}

/// A value of so many bits: those that begin with 0 are negative.
fn signed(value: u32, n_bits: u8) -> i32 {
    let value = value as i32;
    if n_bits > 0 && value < 1 << (n_bits - 1) {
        value - (1 << n_bits) + 1
    } else {
        value
    }
}

/// Bits of a part of the coded data, the first being the highest; zeros without end after the last.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    next: u64,
    n_next: u32,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            next: 0,
            n_next: 0,
        }
    }
    /// At least 56 bits are there afterwards.
    #[inline(always)]
    fn refill(&mut self) {
        let word = match self.bytes.get(self.at..self.at + 8) {
            Some(bytes) => u64::from_be_bytes(bytes.try_into().expect("the slice has eight bytes")),
            None => self.last_word(),
        };
        self.next |= word >> self.n_next;
        self.at += ((63 - self.n_next) >> 3) as usize;
        self.n_next |= 56;
    }
    #[cold]
    fn last_word(&self) -> u64 {
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(self.bytes.iter().skip(self.at)) {
            *to = *from;
        }
        u64::from_be_bytes(word)
    }
    #[inline(always)]
    fn peek(&self, n: u32) -> usize {
        (self.next >> (64 - n)) as usize
    }
    #[inline(always)]
    fn drop(&mut self, n: u32) {
        self.next <<= n;
        self.n_next -= n;
    }
    /// A signed value of `n` bits.
    #[inline(always)]
    fn value(&mut self, n: u8) -> i32 {
        if n == 0 {
            return 0;
        }
        let value = self.peek(u32::from(n)) as u32;
        self.drop(u32::from(n));
        signed(value, n)
    }
    /// Whether more was read than there is.
    fn is_overrun(&self) -> bool {
        self.at * 8 - self.n_next as usize > self.bytes.len() * 8
    }
}

/// From the codes of a block to its pixels.
struct Transform {
    /// Pixels that a block gives, across and down.
    sides: [usize; 2],
    /// Contribution of each coefficient to each pixel of a row, quantisation left out: `[pixel][coefficient]`.
    across: [[f32; 8]; 8],
    down: [[f32; 8]; 8],
    /// In coded order.
    quantisation: [f32; 64],
}

impl Transform {
    fn new(sides: [usize; 2], component: &Component) -> Self {
        Self {
            sides,
            across: means_of_cosines(sides[0]),
            down: means_of_cosines(sides[1]),
            quantisation: component.quantisation.map(f32::from),
        }
    }

    /// Reads one block and writes its pixels; `None`: the codes are none.
    #[inline(always)]
    fn block(
        &self,
        bits: &mut Bits,
        dc: &Codes,
        ac: &Codes,
        before: &mut i32,
        to: &mut [u8],
        stride: usize,
    ) -> Option<()> {
        bits.refill();
        let n_value = dc.symbol(bits)?;
        if n_value > 15 {
            return None;
        }
        // A file made up to do so may overflow it; then the pixels do not matter.
        *before = before.wrapping_add(bits.value(n_value));
        let mean = *before as f32 * self.quantisation[0];
        if self.sides == [1, 1] {
            skip_coefficients(bits, ac)?;
            to[0] = to_byte(mean / 8.0);
            return Some(());
        }
        let mut coefficients = [[0f32; 8]; 8];
        coefficients[0][0] = mean;
        let rows = self.read_coefficients(bits, ac, &mut coefficients)?;
        self.pixels(&coefficients, rows, to, stride);
        Some(())
    }

    /// Which rows hold a coefficient that is not 0, one bit a row.
    #[inline(always)]
    fn read_coefficients(
        &self,
        bits: &mut Bits,
        ac: &Codes,
        coefficients: &mut [[f32; 8]; 8],
    ) -> Option<u8> {
        let mut rows = 1;
        let mut place = 1usize;
        while place < 64 {
            bits.refill();
            let step = ac.steps[bits.peek(LOOKUP)];
            let (advance, value) = if step.bits > 0 {
                bits.drop(u32::from(step.bits));
                (step.advance, i32::from(step.value))
            } else {
                let symbol = ac.symbol(bits)?;
                (advance(symbol), bits.value(symbol & 15))
            };
            place += usize::from(advance);
            if value != 0 {
                let natural = usize::from(*NATURAL.get(place - 1)?);
                coefficients[natural / 8][natural % 8] =
                    value as f32 * self.quantisation[place - 1];
                rows |= 1 << (natural / 8);
            }
        }
        (place == 64 || place >= usize::from(END)).then_some(rows)
    }

    fn pixels(&self, coefficients: &[[f32; 8]; 8], rows: u8, to: &mut [u8], stride: usize) {
        let [across, down] = self.sides;
        let mut sums = [[0f32; 8]; 8];
        for (row, coefficients) in coefficients.iter().enumerate() {
            if rows >> row & 1 == 0 {
                continue;
            }
            let mut along = [0f32; 8];
            for (along, weights) in along.iter_mut().zip(&self.across).take(across) {
                *along = weights
                    .iter()
                    .zip(coefficients)
                    .map(|(weight, value)| weight * value)
                    .sum();
            }
            for (sums, weights) in sums.iter_mut().zip(&self.down).take(down) {
                for (sum, along) in sums.iter_mut().zip(along) {
                    *sum += weights[row] * along;
                }
            }
        }
        for (line, sums) in to.chunks_mut(stride).zip(&sums).take(down) {
            for (pixel, &sum) in line.iter_mut().zip(sums).take(across) {
                *pixel = to_byte(sum);
            }
        }
    }
}

fn to_byte(value: f32) -> u8 {
    (value + 128.5) as u8
}

/// Passes over a block's coefficients but the first.
#[inline(always)]
fn skip_coefficients(bits: &mut Bits, ac: &Codes) -> Option<()> {
    let mut place = 1u32;
    while place < 64 {
        bits.refill();
        let skip = ac.skips[bits.peek(LOOKUP)];
        // What was gathered may reach beyond the block, where another table counts.
        if skip.bits > 0 && place + u32::from(skip.advance & 127) < 64 {
            bits.drop(u32::from(skip.bits));
            place += u32::from(skip.advance);
            continue;
        }
        let symbol = ac.symbol(bits)?;
        bits.drop(u32::from(symbol & 15));
        place += u32::from(advance(symbol));
    }
    (place == 64 || place >= u32::from(END)).then_some(())
}

/// The inverse cosine transform of a row of eight pixels, followed by the mean of each group of `8 / n`:
/// `[pixel][coefficient]`, the first `n` pixels.
///
/// # Source
///
/// ITU-T T.81, section A.3.3: `½ C(u) cos((2x + 1) u π / 16)` with `C(0) = 1/√2`, else 1. Taking means is what
/// libjpeg's `jidctred.c` does, and makes the result the box-filtered whole image.
fn means_of_cosines(n: usize) -> [[f32; 8]; 8] {
    let group = 8 / n;
    let mut means = [[0.0; 8]; 8];
    for (pixel, means) in means.iter_mut().enumerate().take(n) {
        for (u, mean) in means.iter_mut().enumerate() {
            let sum: f64 = (pixel * group..(pixel + 1) * group)
                .map(|x| cosine((2 * x + 1) * u))
                .sum();
            let factor = if u == 0 { 0.5f64.sqrt() } else { 1.0 };
            *mean = (0.5 * factor * sum / group as f64) as f32;
        }
    }
    means
}

/// `cos(k π / 16)`, from constants: a library's cosine may differ from one machine to the next.
fn cosine(k: usize) -> f64 {
    const FIRST: [f64; 9] = [
        1.0,
        0.980_785_280_403_230_4,
        0.923_879_532_511_286_7,
        0.831_469_612_302_545_2,
        std::f64::consts::FRAC_1_SQRT_2,
        0.555_570_233_019_602_2,
        0.382_683_432_365_089_8,
        0.195_090_322_016_128_28,
        0.0,
    ];
    let k = k % 32;
    let k = k.min(32 - k);
    if k <= 8 { FIRST[k] } else { -FIRST[16 - k] }
}

/// The coded data without its stuffing (each FF is followed by a 00 that means nothing), cut at the restart
/// markers.
fn unstuffed(coded: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    let mut part = Vec::with_capacity(coded.len());
    let mut at = 0;
    while let Some(found) = super::find_ff(&coded[at..]) {
        part.extend_from_slice(&coded[at..at + found]);
        at += found;
        match coded.get(at + 1) {
            Some(0x00) => {
                part.push(0xff);
                at += 2;
            }
            Some(0xd0..=0xd7) => {
                parts.push(std::mem::take(&mut part));
                at += 2;
            }
            Some(0xff) => at += 1,
            _ => break,
        }
    }
    parts.push(part);
    parts
}

/// YCbCr, or grey, to RGB.
///
/// # Source
///
/// JFIF 1.02 (1992), "Conversion to and from RGB"; 16 bits after the point.
fn to_rgb(planes: &[Vec<u8>], stride: usize, width: usize, height: usize) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        let line =
            |plane: &'_ Vec<u8>| -> Vec<u8> { plane[y * stride..y * stride + width].to_vec() };
        match planes {
            [bright, blue, red] => {
                for ((bright, blue), red) in line(bright).iter().zip(line(blue)).zip(line(red)) {
                    let bright = (i32::from(*bright) << 16) + (1 << 15);
                    let (blue, red) = (i32::from(blue) - 128, i32::from(red) - 128);
                    let channels = [
                        bright + 91_881 * red,
                        bright - 22_554 * blue - 46_802 * red,
                        bright + 116_130 * blue,
                    ];
                    rgb.extend(channels.map(|value| (value >> 16).clamp(0, 255) as u8));
                }
            }
            _ => rgb.extend(line(&planes[0]).iter().flat_map(|&value| [value; 3])),
        }
    }
    rgb
}
