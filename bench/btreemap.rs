// SPDX-License-Identifier: BSD-3-Clause
//! Rust's BTreeMap from start to last behind a C ABI, used as the Rust monitors use it: a range
//! query for the neighbour below, and then the operation proper.

use std::collections::BTreeMap;
use std::slice;

mod readers;

type Map = BTreeMap<u64, u64>;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Range {
    start: u64,
    last: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Hole {
    min: u64,
    max: u64,
    size: u64,
}

fn term(hit: bool, start: u64, last: u64) -> u64 {
    (start ^ last) & 0u64.wrapping_sub(hit as u64)
}

fn insert_free(map: &mut Map, range: &Range) -> u64 {
    if let Some((_, &last)) = map.range(..=range.last).next_back() {
        if last >= range.start {
            return 0;
        }
    }
    map.insert(range.start, range.last);
    1
}

#[no_mangle]
pub extern "C" fn btreemap_create() -> *mut Map {
    Box::into_raw(Box::new(Map::new()))
}

/// # Safety
/// `map` comes from btreemap_create() or _build(), is not destroyed, and nobody else uses it now.
#[no_mangle]
pub unsafe extern "C" fn btreemap_destroy(map: *mut Map) {
    drop(Box::from_raw(map));
}

/// # Safety
/// `map` comes from btreemap_create() or _build(), is not destroyed, and nobody else uses it now;
/// `ranges` points at `count` of them.
#[no_mangle]
pub unsafe extern "C" fn btreemap_insert(map: *mut Map, ranges: *const Range, count: usize) -> u64 {
    let map = &mut *map;
    slice::from_raw_parts(ranges, count).iter().map(|range| insert_free(map, range)).sum()
}

/// # Safety
/// `map` comes from btreemap_create() or _build(), is not destroyed, and nobody else uses it now;
/// `ranges` points at `count` of them.
#[no_mangle]
pub unsafe extern "C" fn btreemap_churn(
    map: *mut Map,
    ranges: *const Range,
    count: usize,
    lag: usize,
) -> u64 {
    let map = &mut *map;
    let ranges = slice::from_raw_parts(ranges, count);
    let mut sum = 0;
    for i in 0..count {
        sum += map.remove(&ranges[i].start).is_some() as u64;
        if i >= lag {
            sum += insert_free(map, &ranges[i - lag]);
        }
    }
    for range in &ranges[count - lag..] {
        sum += insert_free(map, range);
    }
    sum
}

/// # Safety
/// `map` comes from btreemap_create() or _build(), is not destroyed, and nobody else uses it now;
/// `addresses` points at `count` of them.
#[no_mangle]
pub unsafe extern "C" fn btreemap_lookup(
    map: *const Map,
    addresses: *const u64,
    count: usize,
) -> u64 {
    let map = &*map;
    let mut sum = 0u64;
    for &address in slice::from_raw_parts(addresses, count) {
        if let Some((&start, &last)) = map.range(..=address).next_back() {
            sum = sum.wrapping_add(term(last >= address, start, last));
        }
    }
    sum
}

/// # Safety
/// `map` comes from btreemap_create() or _build(), is not destroyed, and nobody else uses it now;
/// `queries` points at `count` of them.
#[no_mangle]
pub unsafe extern "C" fn btreemap_overlap(
    map: *const Map,
    queries: *const Range,
    count: usize,
) -> u64 {
    let map = &*map;
    let mut sum = 0u64;
    // The highest that starts at or below the end: each query overlaps one at most.
    for query in slice::from_raw_parts(queries, count) {
        if let Some((&start, &last)) = map.range(..=query.last).next_back() {
            sum = sum.wrapping_add(term(last >= query.start, start, last));
        }
    }
    sum
}

/// # Safety
/// `map` comes from btreemap_create() or _build(), is not destroyed, and nobody else uses it now.
#[no_mangle]
pub unsafe extern "C" fn btreemap_iterate(map: *const Map) -> u64 {
    (*map).iter().fold(0u64, |sum, (&start, &last)| sum.wrapping_add(start ^ last))
}

/// # Safety
/// `map` comes from btreemap_create() or _build(), is not destroyed, and nobody else uses it now;
/// `queries` points at `count` of them.
#[no_mangle]
pub unsafe extern "C" fn btreemap_find_hole(
    map: *const Map,
    queries: *const Hole,
    count: usize,
) -> u64 {
    let map = &*map;
    let mut sum = 0u64;
    for query in slice::from_raw_parts(queries, count) {
        let mut from = query.min;
        if let Some((_, &last)) = map.range(..=from).next_back() {
            from = from.max(last + 1);
        }
        for (&start, &last) in map.range(from..) {
            if start - from >= query.size {
                break;
            }
            from = last + 1;
        }
        sum = sum.wrapping_add(if query.max - from + 1 >= query.size { from } else { 1 });
    }
    sum
}

/// Its own bulk build: sorts (which is one pass over what is sorted) and fills from left to right.
///
/// # Safety
/// `ranges` points at `count` of them.
#[no_mangle]
pub unsafe extern "C" fn btreemap_build(ranges: *const Range, count: usize) -> *mut Map {
    let ranges = slice::from_raw_parts(ranges, count);
    Box::into_raw(Box::new(ranges.iter().map(|range| (range.start, range.last)).collect()))
}

/// MAP and UNMAP with the checks that the specification asks of a device, on what the Rust monitors
/// keep: a map of domains, in each of them a map of mappings, and a list of reserved regions.
struct Mapping {
    last: u64,
    phys: u64,
    flags: u32,
}

struct Domain {
    mappings: BTreeMap<u64, Mapping>,
    bypass: bool,
}

pub struct Books {
    domains: BTreeMap<u32, Domain>,
    endpoints: BTreeMap<u32, u32>,
    reserved: Vec<Range>,
    granule_mask: u64,
    input_last: u64,
}

#[derive(PartialEq)]
enum Status {
    Ok,
    Inval,
    Range,
    Noent,
}

impl Books {
    fn map(&mut self, id: u32, range: Range, phys: u64, flags: u32) -> Status {
        if flags & !7 != 0 {
            return Status::Inval;
        }
        let domain = match self.domains.get_mut(&id) {
            Some(domain) => domain,
            None => return Status::Noent,
        };
        if domain.bypass || range.start > range.last {
            return Status::Inval;
        }
        if (range.start | phys | range.last.wrapping_add(1)) & self.granule_mask != 0
            || range.last > self.input_last
            || phys > u64::MAX - (range.last - range.start)
        {
            return Status::Range;
        }
        if self.reserved.iter().any(|r| range.start <= r.last && r.start <= range.last) {
            return Status::Inval;
        }
        if let Some((_, mapping)) = domain.mappings.range(..=range.last).next_back() {
            if mapping.last >= range.start {
                return Status::Inval;
            }
        }
        domain.mappings.insert(range.start, Mapping { last: range.last, phys, flags });
        Status::Ok
    }

    fn unmap(&mut self, id: u32, range: Range, removed: &mut u64) -> Status {
        let domain = match self.domains.get_mut(&id) {
            Some(domain) => domain,
            None => return Status::Noent,
        };
        if domain.bypass || range.start > range.last {
            return Status::Inval;
        }
        // One that reaches in from below would be split; so would one that reaches out above.
        if let Some((_, mapping)) = domain.mappings.range(..range.start).next_back() {
            if mapping.last >= range.start {
                return Status::Range;
            }
        }
        while let Some((&start, mapping)) = domain.mappings.range(range.start..=range.last).next() {
            if mapping.last > range.last {
                return Status::Range;
            }
            domain.mappings.remove(&start);
            *removed += 1;
        }
        Status::Ok
    }

    /// Where the endpoint's address goes, and the last address of its mapping.
    fn translate(&self, endpoint: u32, address: u64) -> Option<(u64, u64)> {
        let domain = self.domains.get(self.endpoints.get(&endpoint)?)?;
        if domain.bypass {
            return Some((address, u64::MAX));
        }
        let (&start, mapping) = domain.mappings.range(..=address).next_back()?;
        if mapping.last < address || mapping.flags & 1 == 0 {
            return None;
        }
        Some((mapping.phys + (address - start), mapping.last))
    }

    fn request(&mut self, request: &Request) -> Status {
        let bytes = &request.bytes;
        let le32 = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let le64 = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let range = Range { start: le64(8), last: le64(16) };
        match (bytes[0], request.size) {
            (3, 36) => self.map(le32(4), range, le64(24), le32(32)),
            (4, 28) => self.unmap(le32(4), range, &mut 0),
            _ => Status::Inval,
        }
    }
}

/// As in bench.h.
#[repr(C)]
pub struct Request {
    bytes: [u8; 36],
    size: u8,
    tail: [u8; 4],
}

/// # Safety
/// `books` comes from btreemap_books_create(), is not destroyed, and nobody else uses it now;
/// `requests` points at `count` of them.
#[no_mangle]
pub unsafe extern "C" fn btreemap_books_requests(
    books: *mut Books,
    requests: *mut Request,
    count: usize,
) -> u64 {
    let books = &mut *books;
    let mut sum = 0;
    for request in slice::from_raw_parts_mut(requests, count) {
        let status = books.request(request);
        sum += (status == Status::Ok) as u64;
        request.tail = [status as u8, 0, 0, 0];
    }
    sum
}

/// # Safety
/// `books` comes from btreemap_books_create(), is not destroyed, and nobody else changes it now;
/// `addresses` points at `count` of them.
#[no_mangle]
pub unsafe extern "C" fn btreemap_books_translate(
    books: *const Books,
    addresses: *const u64,
    count: usize,
) -> u64 {
    let books = &*books;
    let mut sum = 0u64;
    for &address in slice::from_raw_parts(addresses, count) {
        if let Some((phys, last)) = books.translate(1, address) {
            if last - address >= 63 {
                sum = sum.wrapping_add(phys);
            }
        }
    }
    sum
}

/// A lookup for each mapping, as crosvm does.
///
/// # Safety
/// `books` comes from btreemap_books_create(), is not destroyed, and nobody else changes it now;
/// `spans` points at `count` of them.
#[no_mangle]
pub unsafe extern "C" fn btreemap_books_translate_span(
    books: *const Books,
    spans: *const Range,
    count: usize,
) -> u64 {
    let books = &*books;
    let mut sum = 0u64;
    for span in slice::from_raw_parts(spans, count) {
        let mut at = span.start;
        while at <= span.last {
            let (phys, last) = match books.translate(1, at) {
                Some(found) => found,
                None => return 0,
            };
            let last = last.min(span.last);
            sum = sum.wrapping_add(last - at + 1);
            if at == span.start {
                sum = sum.wrapping_add(phys);
            }
            at = last + 1;
        }
    }
    sum
}

/// # Safety
/// `reserved` points at `count` of them.
#[no_mangle]
pub unsafe extern "C" fn btreemap_books_create(
    domain: u32,
    reserved: *const Range,
    count: usize,
) -> *mut Books {
    let mut domains = BTreeMap::new();
    domains.insert(domain, Domain { mappings: BTreeMap::new(), bypass: false });
    let reserved = slice::from_raw_parts(reserved, count).to_vec();
    let endpoints = BTreeMap::from([(1, domain)]);
    let input_last = (1 << 48) - 1;
    Box::into_raw(Box::new(Books { domains, endpoints, reserved, granule_mask: 4095, input_last }))
}

/// # Safety
/// `books` comes from btreemap_books_create(), is not destroyed, and nobody else uses it now.
#[no_mangle]
pub unsafe extern "C" fn btreemap_books_destroy(books: *mut Books) {
    drop(Box::from_raw(books));
}

/// # Safety
/// `books` comes from btreemap_books_create(), is not destroyed, and nobody else uses it now.
#[no_mangle]
pub unsafe extern "C" fn btreemap_books_map(books: *mut Books, domain: u32, range: Range) -> u64 {
    ((*books).map(domain, range, range.start ^ 0x1000, 3) == Status::Ok) as u64
}

/// # Safety
/// `books` comes from btreemap_books_create(), is not destroyed, and nobody else uses it now.
#[no_mangle]
pub unsafe extern "C" fn btreemap_books_unmap(books: *mut Books, domain: u32, range: Range) -> u64 {
    let mut removed = 0;
    (*books).unmap(domain, range, &mut removed);
    removed
}
