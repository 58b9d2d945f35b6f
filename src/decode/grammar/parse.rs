//! From the text of a grammar to fields at absolute positions, or to the column of its fault.

use super::scale::{self, Operator, Scale, Step};
use super::{Dialect, Field, GrammarError, Shape};

/// Longest text and most fields: far above any device's, low enough that nothing grows without bound.
const LONGEST_TEXT: usize = 8192;
const MOST_FIELDS: usize = 256;
/// A payload has at most 256 bytes.
const LAST_BYTE: usize = 255;

const TYPES: [&str; 7] = ["bool", "uint", "int", "float", "char", "hex", "bcd"];

/// What two fields of one name are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// A fault.
    Unique,
    /// As the cloud has it.
    LastWins,
}

/// A piece of the text and the column of its first character.
#[derive(Debug, Clone, Copy)]
struct Token<'a> {
    column: usize,
    text: &'a str,
}

/// The fields of a grammar.
pub(super) fn fields(text: &str, dialect: Dialect, names: Names) -> Result<Vec<Field>, GrammarError> {
    if text.len() > LONGEST_TEXT {
        return fault(
            LONGEST_TEXT,
            format!("the grammar is too long (expected at most {LONGEST_TEXT} bytes)"),
        );
    }
    let mut fields: Vec<Field> = Vec::new();
    let mut cursor = Cursor { dialect, last: None };
    for word in (Token { column: 1, text }).split(char::is_whitespace).filter(|word| !word.text.is_empty()) {
        let field = cursor.field(word)?;
        let full = fields.len() == MOST_FIELDS;
        match fields.iter_mut().find(|earlier| earlier.name == field.name) {
            Some(earlier) if names == Names::LastWins => *earlier = field,
            Some(earlier) => {
                let name = &earlier.name;
                return fault(
                    word.column,
                    format!("there is a field `{name}` already (expected another name)"),
                );
            }
            None if full => {
                return fault(word.column, format!("one field too many (expected at most {MOST_FIELDS})"));
            }
            None => fields.push(field),
        }
    }
    if fields.is_empty() {
        return fault(
            1,
            "there is no field (expected NAME:INDEX:TYPE, such as `temperature::int:16`)".to_owned(),
        );
    }
    Ok(fields)
}

/// Where an omitted index points to.
struct Cursor {
    dialect: Dialect,
    /// The last byte that the field before touched, and whether that field said a bit.
    last: Option<(usize, bool)>,
}

impl Cursor {
    fn field(&mut self, word: Token<'_>) -> Result<Field, GrammarError> {
        let mut parts = word.split(|character| character == ':');
        let end = word.end();
        let name = parts.next().unwrap_or(word);
        self.check_name(name)?;
        let Some(index) = parts.next() else {
            let name = name.text;
            return fault(
                end,
                format!("`{name}` has no type (expected {name}:INDEX:TYPE, such as `{name}::uint:8`)"),
            );
        };
        // Soracom's own example leaves out the index with its colon: `long:float:32`.
        let index_left_out = self.dialect == Dialect::Soracom && TYPES.contains(&index.text);
        let kind = if index_left_out { Some(index) } else { parts.next() };
        let byte = if index_left_out { self.next_byte() } else { self.byte(index)? };
        let Some(kind) = kind.filter(|kind| !kind.text.is_empty()) else {
            return fault(end, format!("`{}` has no type (expected one of {})", name.text, TYPES.join(", ")));
        };
        let mut parameters = Parameters { rest: parts.collect(), end, dialect: self.dialect, bit: None };
        let shape = parameters.shape(kind)?;
        parameters.finish()?;
        let bit = parameters.bit.unwrap_or(7);
        let field = Field { name: name.text.to_owned(), start: byte * 8 + 7 - bit, shape };
        self.last = Some((field.last_byte(), parameters.bit.is_some()));
        Ok(field)
    }

    fn check_name(&self, name: Token<'_>) -> Result<(), GrammarError> {
        let more = if self.dialect == Dialect::Soracom { "-_#$" } else { "-_#" };
        let allowed = if self.dialect == Dialect::Soracom { "- _ # $" } else { "- _ #" };
        if name.text.is_empty() {
            return fault(
                name.column,
                format!("a field needs a name (expected letters, digits and {allowed})"),
            );
        }
        let plain = |character: char| character.is_ascii_alphanumeric() || more.contains(character);
        match name.text.chars().zip(name.column..).find(|(character, _)| !plain(*character)) {
            Some((character, column)) => fault(
                column,
                format!(
                    "`{}` cannot stand in a name (expected letters, digits and {allowed})",
                    character.escape_debug()
                ),
            ),
            None => Ok(()),
        }
    }

    fn byte(&self, index: Token<'_>) -> Result<usize, GrammarError> {
        if index.text.is_empty() {
            return Ok(self.next_byte());
        }
        index.number(0, LAST_BYTE).ok_or_else(|| {
            let hint =
                if TYPES.contains(&index.text) { ": two colons before a type leave it out" } else { "" };
            index.fault(&format!("is no byte index (expected 0 to {LAST_BYTE}, or nothing{hint})"))
        })
    }

    /// The byte of a field without an index. Sigfox: after a field that said a bit, the last byte which that
    /// touched; else, and in Soracom's dialect always, the one after it.
    fn next_byte(&self) -> usize {
        match self.last {
            None => 0,
            Some((byte, true)) if self.dialect == Dialect::Sigfox => byte,
            Some((byte, _)) => byte + 1,
        }
    }
}

/// What follows the type of a field.
struct Parameters<'a> {
    rest: Vec<Token<'a>>,
    /// The column after the field.
    end: usize,
    dialect: Dialect,
    bit: Option<usize>,
}

impl<'a> Parameters<'a> {
    fn shape(&mut self, kind: Token<'_>) -> Result<Shape, GrammarError> {
        match kind.text {
            "bool" => {
                let Some(bit) = self.take() else {
                    return fault(
                        self.end,
                        "a bool needs its bit (expected 7 to 0, such as `bool:7`)".to_owned(),
                    );
                };
                self.bit = Some(bit.bit()?);
                Ok(Shape::Bool)
            }
            "uint" | "int" => {
                let bits =
                    self.size(kind, "a number of bits from 1 to 64", |bits| (1..=64).contains(&bits))?;
                let (little_endian, scale) = self.order_bit_and_scale(bits)?;
                Ok(Shape::Integer { width: width(bits), signed: kind.text == "int", little_endian, scale })
            }
            "float" => {
                let bits = self.size(kind, "32 or 64 bits", |bits| bits == 32 || bits == 64)?;
                let (little_endian, scale) = self.order_bit_and_scale(bits)?;
                Ok(Shape::Float { width: width(bits), little_endian, scale })
            }
            "char" => {
                let bytes =
                    self.size(kind, "a number of bytes from 1 to 256", |bytes| (1..=256).contains(&bytes))?;
                self.take_bit()?;
                Ok(Shape::Text { bytes })
            }
            "hex" | "bcd" => {
                let wanted = "a multiple of 4 bits from 4 to 2048";
                let bits = self.size(kind, wanted, |bits| (4..=2048).contains(&bits) && bits % 4 == 0)?;
                self.take_bit()?;
                Ok(Shape::Digits { count: bits / 4, decimal: kind.text == "bcd" })
            }
            _ => Err(kind.fault(&format!("is no type (expected one of {})", TYPES.join(", ")))),
        }
    }

    /// The first parameter.
    fn size(
        &mut self,
        kind: Token<'_>,
        wanted: &str,
        fits: impl Fn(usize) -> bool,
    ) -> Result<usize, GrammarError> {
        let Some(size) = self.take().filter(|size| !size.text.is_empty()) else {
            return fault(self.end, format!("`{}` needs its size (expected {wanted})", kind.text));
        };
        size.number(0, usize::MAX)
            .filter(|number| fits(*number))
            .ok_or_else(|| size.fault(&format!("is no size of `{}` (expected {wanted})", kind.text)))
    }

    /// What may follow the size of a number: `[:little-endian | :big-endian] [:bit] [:operations]`.
    fn order_bit_and_scale(&mut self, bits: usize) -> Result<(bool, Option<Scale>), GrammarError> {
        let mut little_endian = false;
        if let Some(order) = self.take_if(|text| text.ends_with("-endian")) {
            little_endian = match order.text {
                "little-endian" => true,
                "big-endian" => false,
                _ => {
                    return Err(order.fault("is no byte order (expected little-endian or big-endian)"));
                }
            };
            if little_endian && bits % 8 != 0 {
                return Err(order.fault(&format!("cannot be said of {bits} bits (expected whole bytes)")));
            }
        }
        self.take_bit()?;
        Ok((little_endian, self.scale()?))
    }

    fn take_bit(&mut self) -> Result<(), GrammarError> {
        if let Some(bit) = self.take_if(|text| text.starts_with(|first: char| first.is_ascii_digit())) {
            self.bit = Some(bit.bit()?);
        }
        Ok(())
    }

    fn scale(&mut self) -> Result<Option<Scale>, GrammarError> {
        let mut steps = Vec::new();
        while let Some(operations) = self.take_if(|text| text.starts_with(['+', '-', '*', '/'])) {
            let mut rest = operations;
            while !rest.text.is_empty() {
                if steps.len() == scale::MOST {
                    return fault(
                        rest.column,
                        format!("one operation too many (expected at most {})", scale::MOST),
                    );
                }
                steps.push(rest.take_operation()?);
            }
        }
        Ok((!steps.is_empty()).then(|| Scale::new(steps)))
    }

    /// Nothing may be left.
    fn finish(&self) -> Result<(), GrammarError> {
        match self.rest.first() {
            None => Ok(()),
            Some(last) if last.text.is_empty() && self.dialect == Dialect::Soracom && self.rest.len() == 1 => Ok(()),
            Some(left) if left.text.is_empty() => {
                fault(left.column, "nothing follows this colon (expected no colon)".to_owned())
            }
            Some(left) => Err(left.fault(
                "cannot stand here (expected byte order, bit 7 to 0, then operations such as `/10`, as far as \
                 the type has them)",
            )),
        }
    }

    fn take(&mut self) -> Option<Token<'a>> {
        (!self.rest.is_empty()).then(|| self.rest.remove(0))
    }

    /// The next parameter if it is wanted. Soracom leaves parameters empty (`uint:16::/10`, `uint:16:`); in
    /// Sigfox's dialect that is taken before an operation only.
    fn take_if(&mut self, wanted: impl Fn(&str) -> bool) -> Option<Token<'a>> {
        let operation_next = self.rest.get(1).is_some_and(|next| next.text.starts_with(['+', '-', '*', '/']));
        if self.rest.first()?.text.is_empty() && (self.dialect == Dialect::Soracom || operation_next) {
            self.rest.remove(0);
        }
        wanted(self.rest.first()?.text).then(|| self.rest.remove(0))
    }
}

impl<'a> Token<'a> {
    fn split(self, at: impl Fn(char) -> bool) -> impl Iterator<Item = Token<'a>> {
        self.text.split(at).scan(self.column, |column, text| {
            let token = Token { column: *column, text };
            *column = token.end() + 1;
            Some(token)
        })
    }

    /// The column after it.
    fn end(self) -> usize {
        self.column + self.text.chars().count()
    }

    fn number(self, least: usize, most: usize) -> Option<usize> {
        let digits = self.text.bytes().all(|byte| byte.is_ascii_digit());
        let number: usize = digits.then(|| self.text.parse().ok()).flatten()?;
        (least..=most).contains(&number).then_some(number)
    }

    fn bit(self) -> Result<usize, GrammarError> {
        self.number(0, 7).ok_or_else(|| self.fault("is no bit of a byte (expected 7, the first, to 0)"))
    }

    /// Takes an operator with its constant off the front.
    fn take_operation(&mut self) -> Result<Step, GrammarError> {
        let mut characters = self.text.chars();
        let operator = match characters.next() {
            Some('+') => Operator::Add,
            Some('-') => Operator::Subtract,
            Some('*') => Operator::Multiply,
            Some('/') => Operator::Divide,
            _ => return Err(self.fault("is no operation (expected + - * / and a number)")),
        };
        let text = characters.as_str();
        let negative = text.starts_with('-');
        let text = text.strip_prefix('-').unwrap_or(text);
        let length = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (constant, rest) = text.split_at_checked(length).unwrap_or((text, ""));
        let column = self.end() - text.chars().count();
        let step = constant_of(Token { column, text: constant }, operator, negative)?;
        *self = Token { column: column + length, text: rest };
        Ok(step)
    }

    /// A fault at this token, quoted.
    fn fault(self, what: &str) -> GrammarError {
        let quoted: String = self.text.chars().take(40).flat_map(char::escape_debug).collect();
        GrammarError { column: self.column, message: format!("`{quoted}` {what}") }
    }
}

fn constant_of(token: Token<'_>, operator: Operator, negative: bool) -> Result<Step, GrammarError> {
    let (whole, part) = token.text.split_once('.').unwrap_or((token.text, ""));
    let digits = format!("{whole}{part}");
    let number =
        digits.parse::<i64>().ok().filter(|_| !part.contains('.') && digits.len() <= scale::MOST_DIGITS);
    let (Some(number), Ok(decimals)) = (number, u32::try_from(part.len())) else {
        let wanted = format!(
            "an operation needs a decimal constant of at most {} digits, such as `/10`",
            scale::MOST_DIGITS
        );
        return fault(token.column, wanted);
    };
    if number == 0 && operator == Operator::Divide {
        return Err(token.fault("cannot be divided by (expected another number than 0)"));
    }
    Ok(Step { operator, digits: if negative { -number } else { number }, decimals })
}

/// A size that was checked to be at most 64.
fn width(bits: usize) -> u32 {
    u32::try_from(bits).unwrap_or(64)
}

fn fault<T>(column: usize, message: String) -> Result<T, GrammarError> {
    Err(GrammarError { column, message })
}
