variable "gcp_project" {
  type        = string
  description = "Google Cloud project that holds the images; the same in every module."
  nullable    = false
}

variable "region" {
  type        = string
  description = "Region of the images: the cluster's, so that pulling costs no traffic between regions."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region is a region such as europe-west1."
  }
}

variable "name" {
  type        = string
  description = "Name of the repository of Refeed's own images, and what the mirrors' names begin with."
  default     = "refeed"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([-a-z0-9]{0,40}[a-z0-9])?$", var.name))
    error_message = "name has at most 42 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "mirrors" {
  type        = map(string)
  description = <<-EOT
    Registries whose images nodes without a way to the Internet pull through Artifact Registry, by a short name:
    {quay = "https://quay.io"} makes quay.io/argoproj/argocli readable as <mirror quay>/argoproj/argocli.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name, uri in var.mirrors : can(regex("^[a-z][a-z0-9]{0,15}$", name)) && can(regex("^https://[a-z0-9.-]+$", uri))])
    error_message = "mirrors are such as {quay = \"https://quay.io\"}: a name of lower-case letters and digits, an address without a path."
  }
}

variable "untagged_days" {
  type        = number
  description = "Days after which an image without a tag goes, such as one whose push broke off."
  default     = 14
  nullable    = false

  validation {
    condition     = var.untagged_days >= 1 && floor(var.untagged_days) == var.untagged_days
    error_message = "untagged_days is a whole number of days, at least 1."
  }
}

variable "mirror_days" {
  type        = number
  description = "Days after which a mirrored image goes. It is fetched again when somebody pulls it."
  default     = 180
  nullable    = false

  validation {
    condition     = var.mirror_days >= 1 && floor(var.mirror_days) == var.mirror_days
    error_message = "mirror_days is a whole number of days, at least 1."
  }
}

variable "keep_versions" {
  type        = number
  description = "Newest versions of each image that stay whatever else says they go."
  default     = 20
  nullable    = false

  validation {
    condition     = var.keep_versions >= 2
    error_message = "keep_versions is at least 2: the image that runs, and the one to go back to."
  }
}

variable "immutable_tags" {
  type        = bool
  description = "Whether a tag names one image for ever. Pods pull IfNotPresent, so a tag that moved would run two versions at once."
  default     = true
  nullable    = false
}
