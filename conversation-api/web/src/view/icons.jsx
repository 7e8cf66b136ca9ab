// Drawn by hand, on a grid of 20.

const Icon = ({ children }) => (
  <svg class="icon" viewBox="0 0 20 20" fill="none" stroke="currentColor" stroke-width="1.7" stroke-linecap="round"
    stroke-linejoin="round" aria-hidden="true">{children}</svg>
);

export const BackIcon = () => <Icon><path d="M12 4l-6 6 6 6" /></Icon>;
export const SendIcon = () => <Icon><path d="M3 10l14-6-5 13-3-5z" /><path d="M9 12l8-8" /></Icon>;
export const PersonIcon = () => <Icon><circle cx="10" cy="7" r="3.2" /><path d="M3.5 17c.8-3.4 3.2-5 6.5-5s5.7 1.6 6.5 5" /></Icon>;
export const LeaveIcon = () => <Icon><path d="M8 4H4.5v12H8" /><path d="M8.5 10H17M13.5 6.5L17 10l-3.5 3.5" /></Icon>;
export const CloseIcon = () => <Icon><path d="M5 5l10 10M15 5L5 15" /></Icon>;
export const DownIcon = () => <Icon><path d="M10 4v12M5 11l5 5 5-5" /></Icon>;
export const SearchIcon = () => <Icon><circle cx="9" cy="9" r="5" /><path d="M13 13l4 4" /></Icon>;
export const SettingsIcon = () => <Icon><path d="M3 6h8M15 6h2M3 14h2M9 14h8" /><circle cx="13" cy="6" r="2" /><circle cx="7" cy="14" r="2" /></Icon>;
export const CheckIcon = () => <Icon><path d="M4 10.5l4 4 8-9" /></Icon>;
export const AgainIcon = () => <Icon><path d="M4 10a6 6 0 1 1 2 4.5" /><path d="M4 15.5V11.5h4" /></Icon>;
export const ClockIcon = () => <Icon><circle cx="10" cy="10" r="6.5" /><path d="M10 6.5V10l2.5 1.7" /></Icon>;
export const FileIcon = () => <Icon><path d="M5 3h6.5L15 6.5V17H5z" /><path d="M11.5 3v4H15" /></Icon>;
export const SoundIcon = () => <Icon><path d="M4 8v4M7.5 5v10M11 7v6M14.5 4v12M17 8.5v3" /></Icon>;
export const FilmIcon = () => <Icon><rect x="3" y="4.5" width="14" height="11" rx="2" /><path d="M8.5 8l3.5 2-3.5 2z" /></Icon>;
export const ImageIcon = () => <Icon><rect x="3" y="4" width="14" height="12" rx="2" /><path d="M4 14l4-4 3 3 2-2 3 3" /><circle cx="13" cy="8" r="1" /></Icon>;
export const PlaceIcon = () => <Icon><path d="M10 17.5s5.5-5 5.5-9.3a5.5 5.5 0 0 0-11 0c0 4.3 5.5 9.3 5.5 9.3z" /><circle cx="10" cy="8.2" r="2" /></Icon>;
export const DownloadIcon = () => <Icon><path d="M10 3v9M6 8.5l4 4 4-4M4 16.5h12" /></Icon>;
export const NoteIcon = () => <Icon><path d="M4 4h12v8l-4 4H4z" /><path d="M12 16v-4h4M7 7.5h6M7 10.5h3" /></Icon>;
export const LogoIcon = () => (
  <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
    <rect width="32" height="32" rx="9" fill="var(--accent)" />
    <path d="M8 9.5h16a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H14l-5 4v-4H8a2 2 0 0 1-2-2v-8a2 2 0 0 1 2-2z" fill="var(--on-accent)" />
    <path d="M11 14h10M11 17.5h6" stroke="var(--accent)" stroke-width="2" stroke-linecap="round" />
  </svg>
);
