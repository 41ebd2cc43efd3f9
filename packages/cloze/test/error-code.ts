/** The code of the error that a body throws; undefined where it throws none. */
export const errorCode = (body: () => unknown): string | undefined => {
  try {
    body();
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return undefined;
};
