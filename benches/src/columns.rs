//! Tables of figures in columns, some of which have a heading together.

/// What is in the columns: of which group, its name, how wide.
pub struct Columns<const N: usize>(pub [(&'static str, &'static str, usize); N]);

impl<const N: usize> Columns<N> {
    /// Three lines: the groups, the names, dashes. The first column is `first`, so wide.
    pub fn heading(&self, width: usize, first: &str) -> String {
        let groups = self.groups(width);
        let names = self.line(width, first, &self.0.map(|(_, name, _)| name.into()));
        let dashes = self.0.map(|(.., width)| "-".repeat(width));
        let dashes = self.line(width, &"-".repeat(width), &dashes);
        format!("{groups}\n{names}\n{dashes}")
    }

    /// One line, of which the first column is `first`, so wide.
    pub fn line(&self, width: usize, first: &str, cells: &[String; N]) -> String {
        let mut line = format!("{first:<width$}");
        for (cell, (.., width)) in cells.iter().zip(&self.0) {
            line += &format!("  {cell:>width$}");
        }
        line.trim_end().to_owned()
    }

    /// The names of groups, each where its first column begins.
    fn groups(&self, first: usize) -> String {
        let mut line = String::new();
        let mut start = first;
        for (group, _, width) in self.0 {
            if !group.is_empty() {
                let missing = start + 2 - line.chars().count();
                line += &" ".repeat(missing);
                line += group;
            }
            start += 2 + width;
        }
        line
    }
}

/// With so many digits after the point; nothing, if there is none.
pub fn figure(figure: Option<f64>, digits: usize) -> String {
    figure.map_or(String::new(), |figure| format!("{figure:.digits$}"))
}
