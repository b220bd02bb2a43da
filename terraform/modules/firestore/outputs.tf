output "databases" {
  description = "Names of the databases by Refeed project, for identities and the installation file's `store`."
  value       = { for project, database in google_firestore_database.this : project => database.name }
}
