/**
 * Lines of a text joined to pages of at least so many characters, so that shuffling pages leaves text in its order. The last
 * one may be shorter.
 *
 * @param between what stands between lines. Default a space
 */
export function pagesOf(text: string, characters: number, between = " "): string[] {
  const pages: string[] = [];
  let page = "";
  for (const line of text.split("\n")) {
    page += page === "" ? line : `${between}${line}`;
    if (page.length < characters) continue;
    pages.push(page);
    page = "";
  }
  return page === "" ? pages : [...pages, page];
}
