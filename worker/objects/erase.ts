/** Deletes all that an object stores, its alarm too. */
export async function eraseStorage(storage: DurableObjectStorage): Promise<void> {
  // Up to a compatibility date, `deleteAll` leaves the alarm.
  await storage.deleteAlarm();
  await storage.deleteAll();
}
